"""Masks as images: to look at, and to be read back by the folders layout."""

import json
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from attnzoo import palette
from attnzoo.data.folders import CLASSES
from attnzoo.data.masks import mask
from attnzoo.data.progress import track
from attnzoo.data.records import IGNORE, Dataset
from attnzoo.errors import AttnzooError
from attnzoo.results import write_json, write_text

LEGEND = "classes.json"


def write_masks(dataset: Dataset, folder: str | Path, *, progress: bool = False) -> Path:
    """Write `<split>/masks/<name>.png` (indices, in colours), `classes.txt` and `classes.json`.

    With the images in `<split>/images`, the folder is a data set that `open_dataset` reads.

    Raises:
        AttnzooError: For a folder with anything but an earlier export of the same data, or two images for one mask.
    """
    folder = Path(folder)
    _ours_or_empty(folder, dataset)
    targets = _targets(dataset)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / LEGEND, _legend(dataset))  # first: an interrupted export can be taken up again
    write_text(folder / CLASSES, "\n".join(dataset.classes) + "\n")
    colours = palette.flat()
    samples = [sample for split in dataset.splits.values() for sample in split.samples]
    for sample, target in track(zip(samples, targets, strict=True), "writing masks", total=len(samples), show=progress):
        picture = Image.fromarray(mask(dataset, sample))
        picture.putpalette(colours)
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        picture.save(folder / target)
    return folder


def _targets(dataset: Dataset) -> list[str]:
    taken: dict[str, str] = {}
    for split in dataset.splits.values():
        for sample in split.samples:
            target = f"{split.name}/masks/{PurePosixPath(sample.name).with_suffix('.png')}"
            if target in taken:
                raise AttnzooError(
                    f"`{taken[target]}` and `{sample.name}` in {split.name} would have the same mask file",
                    "rename one of them",
                )
            taken[target] = sample.name
    return list(taken)


def _ours_or_empty(folder: Path, dataset: Dataset) -> None:
    if folder.exists() and not folder.is_dir():
        raise AttnzooError(f"`{folder}` is not a folder", "give a new folder")
    if not folder.exists() or not any(folder.iterdir()):
        return
    try:
        earlier: Any = json.loads((folder / LEGEND).read_text(encoding="utf-8"))
        digest = earlier["dataset"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AttnzooError(f"`{folder}` is not empty, and not an export of masks", "give a new folder") from error
    if digest != dataset.digest:
        raise AttnzooError(
            f"`{folder}` holds the masks of other data (digest {str(digest)[:12]}, not {dataset.digest[:12]})",
            "delete it, or give a new folder",
        )


def _legend(dataset: Dataset) -> dict[str, Any]:
    return {
        "dataset": dataset.digest,
        "classes": [
            {"index": index, "name": name, "colour": palette.colour(index)}
            for index, name in enumerate(dataset.classes)
        ],
        "ignored": {"index": IGNORE, "colour": palette.colour(IGNORE)},
        "category_ids": {str(key): index for key, index in dataset.category_ids.items()},
    }
