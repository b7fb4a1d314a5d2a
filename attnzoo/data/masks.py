"""Index masks: painted once, kept as PNG files in the cache, read by everyone."""

import hashlib
import io
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo

from attnzoo.data import folders
from attnzoo.data.cache import cache_folder, write_atomically
from attnzoo.data.coco.rasterise import RULES, paint
from attnzoo.data.pictures import image
from attnzoo.data.progress import track
from attnzoo.data.records import IGNORE, Dataset, Sample

_NOTE = "attnzoo"  # the PNG's text entry: the mask's check sum and what lies under its surface


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
        "crc": zlib.crc32(painting.mask.data),
    }
    text, file = PngInfo(), io.BytesIO()
    text.add_text(_NOTE, json.dumps(note))
    Image.fromarray(painting.mask).save(file, "PNG", compress_level=1, pnginfo=text)
    write_atomically(path, file.getvalue())
    return painting.mask, note


def cached(sample: Sample) -> Path:
    """The file in the cache that holds, or would hold, the sample's painted mask: named by what decides its pixels."""
    digest = hashlib.sha256(f"{RULES} {sample.height} {sample.width}".encode())
    for annotation in sample.annotations:
        digest.update(f"|{annotation.id} {annotation.label}".encode())
        for polygon in annotation.polygons:
            digest.update(b"p%d:" % len(polygon) + polygon)
        if annotation.runs is not None:
            digest.update(b"r" + annotation.runs)
    name = digest.hexdigest()
    return cache_folder() / "masks" / name[:2] / f"{name}.png"


def _read(path: Path, shape: tuple[int, int]) -> tuple[np.ndarray, dict[str, Any]] | None:
    """A cached mask, or None where there is none, or one that is damaged in any way: then it is painted again."""
    try:
        with PngImageFile(path) as picture:
            values = np.array(picture)
            note: dict[str, Any] = json.loads(picture.text[_NOTE])
        whole = (
            values.shape == shape
            and values.dtype == np.uint8
            and zlib.crc32(np.ascontiguousarray(values).data) == note["crc"]
        )
    except Exception:  # whatever a damaged file does to Pillow, the answer is to paint again
        return None
    return (values, note) if whole else None
