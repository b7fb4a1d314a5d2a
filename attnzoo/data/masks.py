"""Index masks: painted once, kept in the cache, read by everyone."""

import zlib
from pathlib import Path
from typing import Any

import numpy as np

from attnzoo.data import folders, runs
from attnzoo.data.cache import cache_folder, write_atomically
from attnzoo.data.coco.rasterise import RULES, paint
from attnzoo.data.pictures import image
from attnzoo.data.progress import track
from attnzoo.data.records import IGNORE, Dataset, Sample


def mask(dataset: Dataset, sample: Sample) -> np.ndarray:
    """The sample's index mask, (H, W) uint8 at the image's own size: 0 background, 1… classes, 255 ignored."""
    return _painted(sample)[0] if sample.mask is None else folders.read(sample, len(dataset.classes))


def under(sample: Sample) -> dict[str, Any]:
    """What lies under the mask, as in `Painting`: `labelled` and `overlapping` pixels, `empty` and `hidden` ids."""
    if sample.mask is not None:
        return {
            "labelled": int(np.count_nonzero(folders.read(sample, IGNORE))),
            "overlapping": 0,
            "empty": [],
            "hidden": [],
        }
    return _painted(sample)[1]


def prepare(dataset: Dataset, *, progress: bool = False) -> None:
    """Do once what every epoch relies on: decode every image, to see that one can, and paint every mask into the cache.

    Cheap when done before: a marker in the cache remembers the data set, and missing masks are painted on demand.

    Raises:
        AttnzooError: For an image that cannot be decoded, or a cache folder that cannot be written.
    """
    marker = cache_folder() / "prepared" / f"{dataset.digest}-{RULES}"
    if marker.is_file():
        return
    samples = [sample for split in dataset.splits.values() for sample in split.samples]
    for sample in track(samples, "painting masks", total=len(samples), show=progress):
        image(sample)
        mask(dataset, sample)
    write_atomically(marker, b"")


def _painted(sample: Sample) -> tuple[np.ndarray, dict[str, Any]]:
    """The mask and its note, from the cache, or painted now and kept."""
    path = cached(sample)
    if (kept := _read(path, (sample.height, sample.width))) is not None:
        return kept
    painting = paint(sample.annotations, sample.height, sample.width)
    note = {
        "labelled": painting.labelled,
        "overlapping": painting.overlapping,
        "empty": list(painting.empty),
        "hidden": list(painting.hidden),
    }
    write_atomically(path, runs.encode(painting.mask, note))
    return painting.mask, note


def cached(sample: Sample) -> Path:
    """The file in the cache that holds, or would hold, the sample's painted mask: named by what decides its pixels."""
    return cache_folder() / "masks" / sample.drawn[:2] / f"{sample.drawn}-{RULES}.runs"


def _read(path: Path, shape: tuple[int, int]) -> tuple[np.ndarray, dict[str, Any]] | None:
    """A cached mask, or None where there is none, or one that is damaged in any way: then it is painted again."""
    try:
        return runs.decode(path.read_bytes(), shape)
    except (OSError, ValueError, zlib.error):
        return None
