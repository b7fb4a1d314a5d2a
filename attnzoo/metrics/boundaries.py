"""How far a predicted boundary is from the true one: HD95 and NSD of a class in an image, in pixels.

A boundary is a mask's pixels with a side on another class, an ignored pixel or the outside. Distances are those of
MONAI's `get_surface_distance`. Where neither mask is empty, HD95 is what `compute_hausdorff_distance(percentile=95)`
there and NSD what `compute_surface_dice` gives, and tests hold them to it; to call these two takes five times as long,
since both crop, erode and measure anew for every class.

Empty masks are decided here, and not by MONAI, whose HD95 of them is NaN, and so left out of its means. Where neither
truth nor prediction has the class, both scores are undefined. Where one has it alone, a lesion was missed or made up:
NSD is 0, and HD95 the image's diagonal, more than any distance within it. Were it left out, a network would gain by
not finding what is hard to outline.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from attnzoo.metrics.overlap import IGNORED, check_maps

TOLERANCE = 2.0
EMPTY = "neither has the class: left out; only one has it: nsd 0, hd95 the image's diagonal"
Mask = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Boundary:
    """Of a class in an image: `hd95` in pixels, 0 at best; `nsd`, the share of both boundaries within the tolerance."""

    hd95: float
    nsd: float


def boundaries(
    prediction: Tensor, truth: Tensor, classes: int, *, tolerance: float = TOLERANCE
) -> tuple[Boundary | None, ...]:
    """Measure every class but the background: integer maps (H, W), truth 255 ignored → K − 1, None where undefined.

    Args:
        tolerance: A boundary pixel no farther than this from the other boundary, in pixels, is right for NSD.
    """
    from scipy import ndimage

    check_maps(prediction[None], truth[None], classes)
    true = truth.cpu().numpy().astype(np.int16)
    predicted = np.where(true == IGNORED, true, prediction.cpu().numpy().astype(np.int16))
    worst = Boundary(math.hypot(*true.shape), 0.0)
    edges = [_edges(labels) for labels in (predicted, true)]
    boxes = [ndimage.find_objects(one, max_label=classes - 1) for one in edges]
    found: list[Boundary | None] = []
    for index, (ours, theirs) in enumerate(zip(*boxes, strict=True), 1):
        if ours is None or theirs is None:
            found.append(None if ours is theirs else worst)
        else:
            box = tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(ours, theirs, strict=True))
            found.append(_measure(edges[0][box] == index, edges[1][box] == index, tolerance))
    return tuple(found)


def boundary_summary(
    images: Sequence[Sequence[Boundary | None]],
    class_names: Sequence[str],
    there: Sequence[bool],
    *,
    tolerance: float = TOLERANCE,
) -> dict[str, Any]:
    """What a result says of a split: each class's mean over the images that define it, and the mean of these means.

    Args:
        images: As `boundaries` gives them.
        class_names: Of all classes, the background first.
        there: Whether the split's ground truth has the class: only such classes are in the mean of all.
    """
    per_class: dict[str, dict[str, Any]] = {}
    for name, column in zip(class_names[1:], zip(*images, strict=True), strict=True):
        defined = [one for one in column if one is not None]
        per_class[name] = {
            "hd95": _mean([one.hd95 for one in defined]),
            "nsd": _mean([one.nsd for one in defined]),
            "images": len(defined),
        }
    averaged = [per_class[name] for name, is_there in zip(class_names[1:], there[1:], strict=True) if is_there]
    return {
        "hd95": _mean([one["hd95"] for one in averaged]),
        "nsd": _mean([one["nsd"] for one in averaged]),
        "averaged": len(averaged),
        "of": len(per_class),
        "per_class": per_class,
        "tolerance": tolerance,
        "unit": "pixels",
        "empty": EMPTY,
        "implementation": "monai.metrics.get_surface_distance",
        "version": metadata.version("monai"),
    }


def _edges(labels: Labels) -> Labels:
    """Every mask's boundary at once: the pixels that have a side on something else keep their label, others are 0."""
    around = np.pad(labels, 1, constant_values=-1)
    sides = (around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:])
    return np.where(np.any([side != labels for side in sides], axis=0), labels, 0)


def _measure(predicted: Mask, true: Mask, tolerance: float) -> Boundary:
    """From two boundaries, neither of them empty."""
    distance = _surface_distance()
    both = [torch.from_numpy(distance(one, other)) for one, other in ((predicted, true), (true, predicted))]
    # torch's quantile in single precision, as in MONAI; numpy's differs by some 0.001 pixels
    farthest = max(float(torch.quantile(one, 0.95)) for one in both)
    distances = torch.cat(both)
    return Boundary(farthest, int((distances <= tolerance).sum()) / len(distances))


@cache
def _surface_distance() -> Callable[[Mask, Mask], npt.NDArray[np.float32]]:
    """MONAI's, which takes seconds to import: for the first pair of masks, and not for a split that has none."""
    # MONAI replaces `warnings.showwarning` when it is imported; on the way out it is put back
    with warnings.catch_warnings():
        from monai.metrics import get_surface_distance
    measure: Callable[[Mask, Mask], npt.NDArray[np.float32]] = get_surface_distance
    return measure


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
