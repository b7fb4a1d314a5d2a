"""A phantom head CT, drawn on the spot: five bleeds that look alike and differ in place and shape. It is a drawing."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from attnzoo.data.cache import cache_folder
from attnzoo.data.phantom.anatomy import Field, Patient, Slice, patient
from attnzoo.data.phantom.bleeds import NAMES, Bleed, bleed, depth
from attnzoo.data.phantom.export import annotations, png
from attnzoo.data.progress import track
from attnzoo.errors import AttnzooError

VERSION = 2  # of the drawing: another pixel, another version
MARK = "drawing.json"
SPLITS = ("train", "valid", "test")
ABOUT = """This is a drawing, not data: a phantom head CT made by `attnzoo data draw` from random numbers.

No patient was scanned, and no score on it says anything about medicine. Intensities are Hounsfield units clipped to
0…255, as in head CT sets (brain 20–45, blood 50–90, bone 255): window them before looking. Five kinds of bleed have
one range of intensities and differ in place and shape: EDH a lens at the skull, SDH a crescent along it, SAH in the
sulci, IPH a blob in the brain, IVH in the ventricles. Calcifications, the falx and the sagittal sinus are as bright.
Slices of one patient share the number after `p` in their names and the split.
"""


def draw(
    folder: Path | str, *, seed: int = 0, patients: int = 40, slices: int = 8, size: int = 128, progress: bool = False
) -> Path:
    """Draw a data set into a folder, as a Roboflow COCO export; the folder comes back.

    Three fifths of the patients are for training, a fifth each for validation and test; every bleed is in every split.
    The same arguments give the same bytes. An unfinished drawing never stands in the folder; a finished one is reused.

    Raises:
        AttnzooError: Impossible numbers, or a folder that holds anything else or cannot be written.
    """
    folder = Path(folder).expanduser().absolute()
    for name, given, least in (("seed", seed, 0), ("patients", patients, 3), ("slices", slices, 5), ("size", size, 64)):
        if given < least:
            raise AttnzooError(f"`{name}` of a drawing cannot be `{given}`", f"give {least} or more")
    what = {"phantom": VERSION, "seed": seed, "patients": patients, "slices": slices, "size": size}
    if _occupied(folder, what):
        return folder
    beside = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        for split in SPLITS:
            (beside / split).mkdir(parents=True)
        _fill(beside, seed, patients, slices, size, progress)
        (beside / "README.txt").write_text(ABOUT, encoding="utf-8")
        (beside / MARK).write_text(json.dumps({**what, "sha256": _digest(beside)}), encoding="utf-8")
        beside.replace(folder)  # over nothing or an empty folder; fails over any other
    except OSError as error:
        if not _occupied(folder, what):  # or was another process faster?
            raise AttnzooError(f"`{folder}` cannot be written: {error.strerror}", "give another folder") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def default_phantom(*, progress: bool = False) -> Path:
    """The drawing that runs without data use, in the cache folder; drawn once."""
    return draw(cache_folder() / f"phantom-{VERSION}", progress=progress)


def members(seed: int, patients: int, slices: int) -> Iterator[tuple[str, int, Patient, list[Bleed]]]:
    """Every patient with split, number and bleeds. Bleeds are dealt out, so that each split has all of them."""
    held = max(1, patients // 5)
    sizes = {"train": patients - 2 * held, "valid": held, "test": held}
    number = 0
    for split in SPLITS:
        dealer = stream(seed, 0, number)
        deck = np.concatenate([dealer.permutation(len(NAMES)) for _ in range(sizes[split])])
        for hand in np.array_split(deck[: max(len(NAMES), 2 * sizes[split])], sizes[split]):
            random = stream(seed, 1, number)
            names = list(dict.fromkeys(NAMES[card] for card in hand))
            centres = heights(slices)[random.permutation(slices)]  # a slice of its own where each is largest
            found = [bleed(random, name, float(z)) for name, z in zip(names, centres, strict=False)]
            yield split, number, patient(random, hydrocephalus="IVH" in names), found
            number += 1


def heights(slices: int) -> Field:
    """The heights of a patient's slices, base to vertex."""
    return np.linspace(-0.75, 0.75, slices)


def render(
    random: np.random.Generator, where: Slice, bleeds: list[Bleed]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """A slice as image and label map, (size, size) each. Where bleeds meet, the first one stays."""
    image, labels = where.tissue(), np.zeros(where.u.shape, np.uint8)
    clear = where.depth > 1.5 * where.pixel  # below that the blurred bone outshines any blood: no label there
    for what in bleeds:
        if (inside := depth(what, where)) is not None:
            image -= 7 * where.soft(0.35 * (inside + 0.05)) * (what.name == "IPH")  # oedema
            clots = 5 * np.cos(23 * where.u + 6 * what.traits[6]) * np.cos(19 * where.v + 6 * what.traits[7])
            image = where.paint(image, where.soft(inside), what.value + clots)
            labels[(inside > 0) & clear & (labels == 0)] = NAMES.index(what.name) + 1
    image = where.skull(image)
    image += where.person.tilt[0] * where.u + where.person.tilt[1] * where.v
    grain = random.standard_normal(image.shape)
    image = _blurred(image) + where.person.noise * (0.6 * grain + 1.2 * _blurred(grain)) * (where.radius < 1.02)
    image += 1.5 * np.abs(grain) * (where.radius >= 1.02)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8), labels


def stream(seed: int, *key: int) -> np.random.Generator:
    """The generator of a patient, or of a slice."""
    # the key apart from the seed: as one list, [0, 1] and [0, 1, 0] would give the same numbers
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def _blurred(image: Field) -> Field:
    """A scanner's sharpness: 1-2-1 in both directions."""
    padded = np.pad(image, 1, mode="edge")
    rows = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    blurred: Field = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 4
    return blurred


def _fill(folder: Path, seed: int, patients: int, slices: int, size: int, progress: bool) -> None:
    """Draw all images and write the annotations of the three splits."""
    categories = [{"id": 0, "name": "hemorrhage", "supercategory": "none"}]  # the dummy that Roboflow puts first
    categories += [{"id": k, "name": name, "supercategory": "hemorrhage"} for k, name in enumerate(NAMES, 1)]
    info = {"description": "attnzoo phantom head CT: a drawing, not data", "version": str(VERSION)}
    coco: dict[str, dict[str, Any]] = {
        split: {"info": info, "licenses": [], "categories": categories, "images": [], "annotations": []}
        for split in SPLITS
    }
    for split, number, person, bleeds in track(
        members(seed, patients, slices), "drawing a phantom head CT", total=patients, show=progress
    ):
        table = coco[split]
        for level, z in enumerate(heights(slices)):
            pixels, labels = render(stream(seed, 2, number, level), Slice(person, float(z), size), bleeds)
            image, name = len(table["images"]), f"p{number:03d}_s{level:02d}.png"
            (folder / split / name).write_bytes(png(pixels))
            table["images"].append({"id": image, "file_name": name, "height": size, "width": size})
            table["annotations"] += annotations(labels, image, len(table["annotations"]))
    for split, table in coco.items():
        (folder / split / "_annotations.coco.json").write_text(json.dumps(table), encoding="utf-8")


def _occupied(folder: Path, what: dict[str, int]) -> bool:
    """Whether the very same drawing is there already. Raises AttnzooError where something else is."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    try:
        if json.loads((folder / MARK).read_text(encoding="utf-8")) == {**what, "sha256": _digest(folder)}:
            return True
    except (OSError, ValueError):
        pass
    raise AttnzooError(f"`{folder}` holds something else than this drawing", "give a new folder, or delete this one")


def _digest(folder: Path) -> str:
    """SHA-256 over names and bytes of all images and annotations."""
    total = hashlib.sha256()
    for path in sorted(path for split in SPLITS for path in (folder / split).iterdir()):
        total.update(f"{path.relative_to(folder).as_posix()}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()
