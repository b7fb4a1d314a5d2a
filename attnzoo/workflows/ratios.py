"""Runs' counts and scores → numerators and denominators, by image and class."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from attnzoo.errors import AttnzooError, did_you_mean, listing
from attnzoo.results import ALL
from attnzoo.workflows.finished import Finished, values

Numbers = npt.NDArray[np.float64]
Truth = npt.NDArray[np.bool_]

# whether more is better
METRICS = {"dice": True, "iou": True, "precision": True, "recall": True, "hd95": False, "nsd": True, "ece": False}
# what a score can be at most, where it is no share
LARGEST = {"hd95": math.inf}


def check_metric(metric: str) -> None:
    """Refuse a metric that no run has.

    Raises:
        AttnzooError: There is none of that name.
    """
    if metric not in METRICS:
        raise AttnzooError(
            f"there is no metric `{metric}` of test images",
            did_you_mean(metric, METRICS) or f"metrics: {listing(METRICS)}",
        )


def counted(run: Finished, metric: str, order: Sequence[str]) -> tuple[Numbers, Numbers]:
    """Top and bottom (N, K foreground classes) of a metric that follows from counts, images in the given order."""
    at = {image: index for index, image in enumerate(run.images)}
    counts = run.matrices[[at[image] for image in order]].astype(np.float64)
    hits = np.diagonal(counts, axis1=1, axis2=2)
    true, predicted = counts.sum(axis=2), counts.sum(axis=1)
    top, bottom = {
        "dice": (2 * hits, true + predicted),
        "iou": (hits, true + predicted - hits),
        "precision": (hits, predicted),
        "recall": (hits, true),
    }[metric]
    return top[:, 1:], bottom[:, 1:]


def truth(run: Finished, order: Sequence[str]) -> Truth:
    """Whether an image's ground truth has a foreground class, (N, K)."""
    at = {image: index for index, image in enumerate(run.images)}
    there: Truth = run.matrices[[at[image] for image in order]].sum(axis=2)[:, 1:] > 0
    return there


def valued(
    runs: Sequence[Finished], metric: str, order: Sequence[str]
) -> tuple[tuple[str, ...], Numbers, Numbers, Truth, tuple[str, ...]]:
    """A metric of `scores.csv`: its classes, top and bottom (runs, N, K), the truth (N, K), and remarks.

    A value counts once where a run has one. A run has none where neither truth nor prediction has the class; where the
    truth has it and some run lacks the value all the same, no run's counts: means over other images would not compare.
    """
    tables = [values(run, metric) for run in runs]
    named = {name for table in tables for _, name in table}
    foreground = runs[0].result.classes[1:]
    classes = (ALL,) if named == {ALL} else tuple(name for name in foreground if name in named)
    found = np.stack([_grid(table, order, classes) for table in tables])
    true = truth(runs[0], order)[:, [foreground.index(name) for name in classes if name != ALL]]
    there: Truth = np.ones(found.shape[1:], np.bool_) if classes == (ALL,) else true
    defined = ~np.isnan(found)
    lost = there & ~defined.all(axis=0)
    remarks: tuple[str, ...] = ()
    if number := int(lost.sum()):
        of = f"{number} of {int(there.sum())} values (image by class)"
        remarks = (f"{metric}: {of} are left out of every arm, since not every run has them",)
    defined &= ~lost
    return classes, np.where(defined, found, 0), defined.astype(np.float64), there & ~lost, remarks


def _grid(table: Mapping[tuple[str, str], float], order: Sequence[str], classes: Sequence[str]) -> Numbers:
    return np.array([[table.get((image, name), np.nan) for name in classes] for image in order])
