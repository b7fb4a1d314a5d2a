"""The geometry of one annotation, checked before any C code sees it.

pycocotools trusts its input: a NaN or a coordinate above 2e8 kills the process (cocoapi#380), a polygon of four numbers
is taken for a box, and run lengths that do not fill the image leave uninitialised memory in the mask.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

FARTHEST = 1e6  # pixels; farther coordinates are refused
LONGEST = 1e7  # pixels of outline; pycocotools allocates 40 bytes for each


class UnusableError(Exception):
    """A segmentation that cannot be painted; the text completes "annotation `5` in `file` …"."""


def outlines(segmentation: Any, height: int, width: int) -> tuple[tuple[bytes, ...], bytes | None, list[str]]:
    """A raw `segmentation` → (polygons, runs, problems): what can be painted, and what is wrong with the other parts.

    Raises:
        UnusableError: Where nothing of it can be painted.
    """
    if isinstance(segmentation, Mapping):
        return (), runs(segmentation, height, width), []
    if not isinstance(segmentation, list):
        kind = "no segmentation" if segmentation is None else f"a segmentation of type {type(segmentation).__name__}"
        raise UnusableError(f"has {kind}")
    if not segmentation:
        raise UnusableError("has no outline, only a box")
    if not isinstance(segmentation[0], list):
        raise UnusableError("has a flat list of coordinates where a list of polygons belongs")
    good, problems = [], []
    for part in segmentation:
        try:
            good.append(_polygon(part))
        except UnusableError as error:
            problems.append(str(error))
    if not good:
        raise UnusableError(problems[0])
    return tuple(good), None, problems


def _polygon(part: Any) -> bytes:
    """x, y, x, y, … as float64 bytes, or UnusableError."""
    if not isinstance(part, list) or any(type(number) not in (int, float) for number in part):
        raise UnusableError("has a polygon that is not a list of numbers")
    if len(part) < 6:
        raise UnusableError(f"has a polygon of {len(part)} numbers; three corners need 6")
    if len(part) % 2:
        raise UnusableError(f"has a polygon with an odd number of coordinates ({len(part)})")
    try:
        points = np.array(part, dtype="<f8")
    except OverflowError:
        points = np.array([math.inf])
    if not np.isfinite(points).all():
        raise UnusableError("has a coordinate that is not finite")
    if (farthest := np.abs(points).max()) > FARTHEST:
        raise UnusableError(f"has a coordinate {farthest:.3g} pixels away")
    corners = points.reshape(-1, 2)
    length = np.abs(corners - np.roll(corners, 1, axis=0)).max(axis=1).sum()
    if length > LONGEST:
        raise UnusableError(f"has an outline of {length:.3g} pixels")
    return points.tobytes()


def runs(code: Mapping[str, Any], height: int, width: int) -> bytes:
    """A COCO run-length code → its run lengths as uint32 bytes, proven to fill the image exactly.

    Raises:
        UnusableError: For a foreign size, a damaged string, negative runs, or a sum other than height × width.
    """
    size, counts = code.get("size"), code.get("counts")
    if not isinstance(size, list) or len(size) != 2 or size != [height, width]:
        raise UnusableError(f"has a run-length code of size {size}; its image is [{height}, {width}]")
    if isinstance(counts, str):
        lengths = list(_decompressed(counts))
    elif isinstance(counts, list) and all(type(count) is int for count in counts):
        lengths = counts
    else:
        raise UnusableError("has a run-length code without counts")
    if any(length < 0 for length in lengths):
        raise UnusableError("has a run-length code with a negative run")
    if (total := sum(lengths)) != height * width:
        raise UnusableError(f"has a run-length code of {total} pixels; its image has {height * width}")
    return np.array(_canonical(lengths), dtype="<u4").tobytes()


def _canonical(lengths: list[int]) -> list[int]:
    """The same pixels without empty runs but a first one: pycocotools' bounding box goes astray at others."""
    joined: list[int] = []
    for place, length in enumerate(lengths):
        if len(joined) % 2 != place % 2:  # an empty run was left out, so this one continues the last
            joined[-1] += length
        elif length or not joined:
            joined.append(length)
    return joined


def _decompressed(text: str) -> Iterator[int]:
    """The runs of COCO's string: 5 bits a character; the fourth and later are differences to the last but one."""
    before, last, number, value, shift = 0, 0, 0, 0, 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 30:
            raise UnusableError("has a damaged run-length string")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:  # the last character of this number; bit 16 is its sign
            value -= (1 << shift) if bits & 16 else 0
            value += before if number > 2 else 0
            yield value
            before, last, number, value, shift = last, value, number + 1, 0, 0
    if shift:
        raise UnusableError("has a run-length string that ends within a number")


def beyond(polygons: tuple[bytes, ...], height: int, width: int) -> str | None:
    """Where no polygon touches the image "outside", where one reaches over a pixel beyond it "clipped", else None."""
    corners = [np.frombuffer(polygon, dtype="<f8").reshape(-1, 2) for polygon in polygons]
    size = np.array([width, height])
    if all((points.max(axis=0) <= 0).any() or (points.min(axis=0) >= size).any() for points in corners):
        return "outside"
    reach = any((points < -1).any() or (points > size + 1).any() for points in corners)
    return "clipped" if reach else None
