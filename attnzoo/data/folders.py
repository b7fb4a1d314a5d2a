"""Folders of images and index masks → samples: for those who have no COCO."""

from pathlib import Path, PurePosixPath

import numpy as np

from attnzoo.data.files import Files
from attnzoo.data.findings import Findings
from attnzoo.data.pictures import indices
from attnzoo.data.probe import probe
from attnzoo.data.progress import track
from attnzoo.data.records import IGNORE, Sample
from attnzoo.errors import AttnzooError
from attnzoo.recipe import Data

CLASSES = "classes.txt"


def named_classes(root: Path) -> tuple[str, ...] | None:
    """The names in `classes.txt` (line i is class i, the first the background), or None where there is no such file."""
    path = root / CLASSES
    if not path.is_file():
        return None
    try:
        names = tuple(line.strip() for line in path.read_text(encoding="utf-8-sig").rstrip().splitlines())
    except UnicodeDecodeError as error:
        raise AttnzooError(f"`{path}` is not a text in UTF-8", "write one class name a line") from error
    if len(names) < 2 or not all(names) or len(set(names)) != len(names):
        raise AttnzooError(
            f"`{path}` must hold at least two names, a different one on each line", "line 1 names the background"
        )
    if len(names) > IGNORE:
        raise AttnzooError(f"`{path}` holds {len(names)} names; masks of 8 bits hold {IGNORE}", "merge classes")
    return ("background", *names[1:])


def samples(
    root: Path, images: Path, masks: Path, split: str, options: Data, findings: Findings, *, progress: bool
) -> tuple[Sample, ...]:
    """The pairs of image and mask of a split, sorted by name, with an empty group.

    Raises:
        AttnzooError: For an image without its mask, two images for one mask, or a size that differs.
    """
    files, drawn = Files(root, images), Files(root, masks)
    by_stem: dict[str, str] = {}
    for name in drawn.names:
        by_stem[_double(by_stem, name, masks)] = name
    taken: dict[str, str] = {}
    pairs: list[tuple[str, Path, Path]] = []
    for name in files.names:
        stem = _double(taken, name, images)
        taken[stem] = name
        image = files.find(name, images)
        mask = drawn.find(by_stem[stem], masks) if stem in by_stem else None
        if image is None or mask is None:
            findings.unusable("image", f"`{images / name}`", f"has no mask in `{masks}`", split)
        else:
            pairs.append((name, image, mask))
    for stem in by_stem.keys() - taken.keys():
        findings.add("unlisted", by_stem[stem], split)
    made = []
    for (name, image, mask), seen in zip(
        pairs, probe([pair[1] for pair in pairs], split, options, findings, progress=progress), strict=True
    ):
        if seen is not None:
            made.append(Sample(name, image, "", seen.height, seen.width, seen.digest, seen.orientation, mask=mask))
    return tuple(made)


def highest_class(samples: tuple[Sample, ...], split: str, classes: int, *, progress: bool) -> int:
    """Decode every mask of a split once, and return the highest class in it.

    Raises:
        AttnzooError: For a mask of another size than its image, or with an index that is no class.
    """
    shown = track(samples, f"reading masks of {split}", total=len(samples), show=progress)
    return max((_highest(read(sample, classes)) for sample in shown), default=0)


def read(sample: Sample, classes: int) -> np.ndarray:
    """The sample's index mask, (H, W) uint8, at the size of its image, with indices below `classes` and 255."""
    if sample.mask is None:
        raise AttnzooError(f"`{sample.name}` has no mask file", "open the data set again")
    values = indices(sample.mask)
    if values.shape != (sample.height, sample.width):
        raise AttnzooError(
            f"`{sample.mask}` has {values.shape[1]}×{values.shape[0]} pixels; its image {sample.width}×{sample.height}",
            'a mask has the size of its image (for a turned photo, try `data.exif = "ignore"`)',
        )
    if (top := _highest(values)) >= classes:
        raise AttnzooError(
            f"`{sample.mask}` has the index {top}; there are {classes} classes, 0 to {classes - 1}",
            f"add the class to {CLASSES}, or mend the mask",
        )
    return values


def _highest(values: np.ndarray) -> int:
    """The highest index but for 255."""
    return int(np.flatnonzero(np.bincount(values.ravel(), minlength=IGNORE + 1)[:IGNORE]).max(initial=0))


def _double(taken: dict[str, str], name: str, folder: Path) -> str:
    """A name without its suffix, by which image and mask find each other."""
    stem = str(PurePosixPath(name).with_suffix(""))
    if stem in taken:
        raise AttnzooError(
            f"`{folder}` has both `{taken[stem]}` and `{name}`",
            "image and mask are paired by the name before the suffix",
        )
    return stem
