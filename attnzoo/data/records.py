"""What a data set is made of: frozen records that every other file of this room passes on."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

BACKGROUND = 0
IGNORE = 255  # pixels that neither train nor score
SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Annotation:
    """One checked annotation: what it paints (`label`, 255 for a crowd) and where.

    `polygons` holds an outline per part (x, y, x, y, … in pixels); `runs` the lengths of a column-major run-length code
    that begins with background. One of them is given, as little-endian float64 or uint32 bytes: compact and comparable.
    """

    id: int
    label: int
    polygons: tuple[bytes, ...] = ()
    runs: bytes | None = None


@dataclass(frozen=True)
class Sample:
    """An image and what was annotated on it.

    `name` is unique in the split: the path relative to the split's images, with forward slashes. `height` and `width`
    are those of `image(sample)`, so after `orientation`, the EXIF number to be applied (1 leaves the picture alone).
    `digest` is the SHA-256 of the image file. `mask` is the index mask's file where the data set came with masks.
    """

    name: str
    image: Path
    group: str
    height: int
    width: int
    digest: str
    orientation: int = 1
    annotations: tuple[Annotation, ...] = ()
    mask: Path | None = None

    @cached_property
    def drawn(self) -> str:
        """The SHA-256 of what decides the pixels of a painted mask: the size, and every annotation."""
        digest = hashlib.sha256(f"{self.height} {self.width}".encode())
        for annotation in self.annotations:
            digest.update(f"|{annotation.id} {annotation.label}".encode())
            for polygon in annotation.polygons:
                digest.update(b"p%d:" % len(polygon) + polygon)
            if annotation.runs is not None:
                digest.update(b"r" + annotation.runs)
        return digest.hexdigest()


@dataclass(frozen=True)
class Split:
    """The samples of one split, sorted by name."""

    name: str
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class Finding:
    """Something a careful colleague would mention: what `kind` of thing, how often, and a few places as examples."""

    level: Literal["note", "warning"]
    kind: str
    message: str
    count: int
    split: str | None = None
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """Images, masks and classes, read and checked.

    `classes[0]` is the background; `category_ids` maps the annotations' ids to class indices. `splits` holds what is
    there of "train", "valid" and "test". `digest` (SHA-256) covers names, images and annotations: equal data have an
    equal digest wherever they lie, and any changed byte changes it.
    """

    root: Path
    format: Literal["roboflow", "coco", "folders"]
    classes: tuple[str, ...]
    category_ids: Mapping[int, int]
    splits: Mapping[str, Split]
    findings: tuple[Finding, ...]
    digest: str
