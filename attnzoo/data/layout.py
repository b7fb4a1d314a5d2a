"""Which of the known layouts a folder has, found by looking."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from attnzoo.data.content import SUFFIXES
from attnzoo.errors import AttnzooError, listing

ROBOFLOW_FILE = "_annotations.coco.json"
WHOLE = "whole"  # the one split of a data set that names none; train, valid and test are drawn from it
_WORDS = {"train": ("train", "training"), "valid": ("valid", "val", "validation"), "test": ("test", "testing")}
_NO_MASKS = re.compile(r"captions|keypoints|image_info|panoptic|stuff", re.IGNORECASE)  # COCO's other annotations
_LOOKED_FOR = (
    "train/_annotations.coco.json (Roboflow), train.json or annotations/instances_train2017.json with a folder of "
    "images (COCO), train/images with train/masks, or images/train with masks/train"
)


@dataclass(frozen=True)
class Source:
    """Where one split lies: its images, and either a COCO file or a folder of masks."""

    images: Path
    annotations: Path | None = None
    masks: Path | None = None


@dataclass(frozen=True)
class Layout:
    """A recognised data set."""

    format: Literal["roboflow", "coco", "folders"]
    sources: Mapping[str, Source]


def recognise(root: Path) -> Layout:
    """The layout of a folder.

    Raises:
        AttnzooError: Where there is no such folder, no known layout in it, or more than one reading of it.
    """
    if not root.is_dir():
        raise AttnzooError(f"`{root}` is not a folder", "give the folder that holds the data set")
    if (found := _any(root)) is not None:
        return found
    inside = [child for child in sorted(root.iterdir()) if child.is_dir() and _any(child) is not None]
    there = sorted(child.name + "/" * child.is_dir() for child in root.iterdir())
    holds = ", ".join(there[:12]) + (", …" if len(there) > 12 else "") if there else "nothing"
    hint = f"did you mean {listing(inside)}?" if inside else f"looked for {_LOOKED_FOR}"
    raise AttnzooError(f"`{root}` holds no data set that attnzoo knows; it holds {holds}", hint)


def _any(root: Path) -> Layout | None:
    if sources := _roboflow(root):
        return Layout("roboflow", sources)
    if sources := _coco(root):
        return Layout("coco", sources)
    if sources := _folders(root):
        return Layout("folders", sources)
    if sources := _one_coco(root):
        return Layout("coco", sources)
    return None


def _roboflow(root: Path) -> dict[str, Source]:
    return _splits(
        root,
        lambda folder: (
            Source(folder, annotations=folder / ROBOFLOW_FILE) if (folder / ROBOFLOW_FILE).is_file() else None
        ),
    )


def _coco(root: Path) -> dict[str, Source]:
    """A JSON file per split, named after it, with a folder of images."""
    sources = {}
    for split in _WORDS:
        mine = [(file, word) for file in _json(root) if (word := _word(file.stem, split)) is not None]
        if len(mine) > 1 and len(instances := [pair for pair in mine if "instances" in pair[0].stem]) == 1:
            mine = instances
        if len(mine) > 1:
            names = listing((file.name for file, _ in mine), last="and")
            raise AttnzooError(f"`{root}` has several annotation files for {split}: {names}", "leave one of them there")
        for file, word in mine:
            folders = tuple(dict.fromkeys((word, *_WORDS[split])))
            candidates = [root / above / name for name in folders for above in ("", "images")] + [root / "images"]
            folder = next((candidate for candidate in candidates if candidate.is_dir()), None)
            if folder is None:
                raise AttnzooError(
                    f"`{file}` has no folder of images beside it", f"looked for {listing(folders)}, also under `images`"
                )
            sources[split] = Source(folder, annotations=file)
    return sources


def _one_coco(root: Path) -> dict[str, Source]:
    """The only JSON file, which names no split, with images under `images` or beside it."""
    files = _json(root)
    folder = root / "images" if (root / "images").is_dir() else root
    return {WHOLE: Source(folder, annotations=files[0])} if len(files) == 1 and _holds_images(folder) else {}


def _json(root: Path) -> list[Path]:
    folders = (folder for folder in (root, root / "annotations") if folder.is_dir())
    return [
        file
        for folder in folders
        for file in sorted(folder.glob("*.json"))
        if file.is_file() and not _NO_MASKS.search(file.stem)
    ]


def _word(stem: str, split: str) -> str | None:
    """The word in a file's name that says the split, with its year: "train2017" in "instances_train2017"."""
    match = re.search(rf"(?:^|[_.\- ])((?:{'|'.join(_WORDS[split])})\d*)(?:$|[_.\- ])", stem, re.IGNORECASE)
    return match[1] if match else None


def _folders(root: Path) -> dict[str, Source]:
    outer = _splits(root, lambda folder: _pair(folder / "images", folder / "masks"))
    inner = _splits(root / "images", lambda folder: _pair(folder, root / "masks" / folder.name))
    if outer or inner:
        return outer or inner
    whole = _pair(root / "images", root / "masks")
    return {WHOLE: whole} if whole and _holds_images(root / "images") else {}


def _pair(images: Path, masks: Path) -> Source | None:
    return Source(images, masks=masks) if images.is_dir() and masks.is_dir() else None


def _splits(root: Path, look: Callable[[Path], Source | None]) -> dict[str, Source]:
    """The splits for which one folder with a name of theirs is what is looked for."""
    sources = {}
    for split, names in _WORDS.items():
        found = {name: source for name in names if (root / name).is_dir() and (source := look(root / name)) is not None}
        if len(found) > 1:
            raise AttnzooError(
                f"`{root}` has {listing(found, last='and')}, which name the same split", "leave one of them there"
            )
        for source in found.values():
            sources[split] = source
    return sources


def _holds_images(folder: Path) -> bool:
    return any(file.suffix.lower() in SUFFIXES for file in folder.iterdir())
