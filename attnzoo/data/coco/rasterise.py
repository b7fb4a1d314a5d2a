"""Checked annotations → an index mask, by pycocotools."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pycocotools import mask as coco

from attnzoo.data.records import BACKGROUND, Annotation

RULES = 1  # the version of everything that decides a mask's pixels: raise it with any change here or in `outlines`


@dataclass(frozen=True)
class Painting:
    """A mask, (H, W) uint8, and what lies under it.

    `labelled` and `overlapping` count pixels with any and with several annotations. The annotations `empty` have no
    pixel; those `hidden` have some, all under smaller annotations.
    """

    mask: np.ndarray
    labelled: int
    overlapping: int
    empty: tuple[int, ...]
    hidden: tuple[int, ...]


def paint(annotations: Sequence[Annotation], height: int, width: int) -> Painting:
    """Paint larger annotations first, so that smaller ones lie on top; the size is the true pixel count, ties go by id.

    Parts of one annotation are united (a hole drawn as a second polygon is filled). Crowds are painted as 255.
    """
    codes = [_code(annotation, height, width) for annotation in annotations]
    areas = [int(area) for area in coco.area(codes)] if codes else []
    order = sorted(range(len(codes)), key=lambda place: (-areas[place], annotations[place].id))
    top = np.full((height, width), -1, dtype=np.int32, order="F")  # pycocotools works column by column
    overlapping = np.zeros((height, width), dtype=bool, order="F")
    for place in order:
        x, y, w, h = (int(side) for side in coco.toBbox(codes[place]))
        window = (slice(y, y + h), slice(x, x + w))
        inside = _decode(codes[place])[window]
        overlapping[window] |= inside & (top[window] >= 0)
        np.copyto(top[window], place, where=inside)
    labels = np.array([*(annotation.label for annotation in annotations), BACKGROUND], dtype=np.uint8)  # -1 is the last
    visible = np.bincount(top[top >= 0], minlength=len(codes))
    empty = tuple(annotations[place].id for place in order if areas[place] == 0)
    hidden = tuple(annotations[place].id for place in order if areas[place] and not visible[place])
    return Painting(np.ascontiguousarray(labels[top]), int(visible.sum()), int(overlapping.sum()), empty, hidden)


def _code(annotation: Annotation, height: int, width: int) -> dict[str, object]:
    """pycocotools' run-length code of an annotation."""
    code: dict[str, object]
    if annotation.runs is not None:
        counts = np.frombuffer(annotation.runs, dtype="<u4").tolist()
        code = coco.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    else:
        polygons = [np.frombuffer(polygon, dtype="<f8").tolist() for polygon in annotation.polygons]
        code = coco.merge(coco.frPyObjects(polygons, height, width))
    return code


def _decode(code: dict[str, object]) -> np.ndarray:
    with warnings.catch_warnings():
        # pycocotools 2.0.11 has not yet learnt numpy 2's `copy` keyword; numpy works around it
        warnings.filterwarnings("ignore", "__array__ implementation doesn't accept a copy keyword", DeprecationWarning)
        pixels: np.ndarray = coco.decode(code).astype(bool)
    return pixels
