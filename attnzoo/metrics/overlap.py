"""Dice, IoU, precision and recall from one confusion matrix per image: every number is a function of these counts.

A class with TP + FP + FN = 0 is undefined (NaN here, None in summaries). Every other class has all four scores, where
0/0 is 0: so the precision of a class that is there but was never predicted. Which classes a mean is taken over comes
from the ground truth, never from a prediction; what becomes of the others is the policy `absent`:
`exclude` leaves them out, `zero` counts them 0, `one` counts them 1 unless they were predicted, `error` refuses.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from attnzoo.errors import AttnzooError, did_you_mean, listing

IGNORED = 255
METRICS = ("dice", "iou", "precision", "recall")
Absent = Literal["exclude", "zero", "one", "error"]
Counts = Tensor | npt.NDArray[np.int64]
Scores = dict[str, npt.NDArray[np.float64]]

# what a class counts that a batch has neither in its truth nor in its prediction: `zero_division` in smp's words;
# no batch has all classes, so `error` is for whole splits
ZERO_DIVISION: dict[Absent, float] = {"exclude": math.nan, "zero": 0.0, "one": 1.0, "error": math.nan}


@dataclass(frozen=True)
class Macro:
    """Means of per-class values over `averaged` of `of` classes; NaN where no class is averaged."""

    dice: float
    iou: float
    precision: float
    recall: float
    averaged: int
    of: int


def confusion_per_image(prediction: Tensor, truth: Tensor, classes: int) -> Tensor:
    """Count pixels: integer maps (B, *S), truth 255 left out → int64 (B, K, K), rows truth, columns prediction."""
    from torchmetrics.functional.classification import multiclass_confusion_matrix

    check_maps(prediction, truth, classes)
    pixels = prediction[0].numel() if len(prediction) else 0
    # torchmetrics' deterministic count holds pixels × K² numbers: in pieces it fits, and sums of integers are exact
    piece = max(1, 2**22 // classes**2) if torch.are_deterministic_algorithms_enabled() else max(1, pixels)
    matrices = torch.zeros(len(prediction), classes, classes, dtype=torch.int64, device=prediction.device)
    for matrix, predicted, true in zip(matrices, prediction.flatten(1), truth.flatten(1), strict=True):
        for predicted_piece, true_piece in zip(predicted.split(piece), true.split(piece), strict=True):
            matrix += multiclass_confusion_matrix(
                predicted_piece, true_piece, classes, ignore_index=IGNORED, validate_args=False
            )
    return matrices


def per_class(matrix: Counts) -> Scores:
    """Scores of every class: counts (…, K, K) → float64 (…, K) by metric; NaN where TP + FP + FN = 0."""
    counts = as_array(matrix)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    return _scores(hits, counts.sum(axis=-2) - hits, counts.sum(axis=-1) - hits)


def macro(
    matrix: Counts,
    *,
    absent: Absent = "exclude",
    background: bool = False,
    classes: Sequence[int] | None = None,
    class_names: Sequence[str] | None = None,
) -> Macro:
    """Average the classes of a whole split's counts (K, K).

    Args:
        matrix: Rows truth, columns prediction; class 0 is background.
        absent: What a class without a true pixel counts (see above).
        background: Whether class 0 is a class like the others.
        classes: The indices to average, instead of all.
        class_names: How the error calls them; by their indices otherwise.

    Raises:
        AttnzooError: With `absent="error"`, when a class has no true pixel; for an unknown policy.
    """
    if absent not in get_args(Absent):
        raise AttnzooError(
            f"`{absent}` is no policy for absent classes, which are {listing(get_args(Absent))}",
            did_you_mean(absent, get_args(Absent)),
        )
    counts = as_array(matrix)
    indices = list(range(0 if background else 1, len(counts)) if classes is None else classes)
    there = counts.sum(axis=1)[indices] > 0
    if absent == "error" and not there.all():
        names = class_names or range(len(counts))
        missing = [names[index] for index, is_there in zip(indices, there, strict=True) if not is_there]
        raise AttnzooError(
            f"the ground truth has no pixel of class {listing(missing, last='and')}", "choose another policy: `exclude`"
        )
    scores = {name: values[indices] for name, values in per_class(counts).items()}
    if absent == "exclude":
        scores = {name: values[there] for name, values in scores.items()}
    means = {name: _mean(np.nan_to_num(values, nan=ZERO_DIVISION[absent])) for name, values in scores.items()}
    return Macro(**means, averaged=len(scores["dice"]), of=len(indices))


def batch_average(prediction: Tensor, truth: Tensor, classes: int, *, absent: Absent = "exclude") -> dict[str, float]:
    """The scores of one batch in "training style", whose mean over batches depends on their size and order.

    Counts come from smp's `get_stats`, summed over the batch's images; a class that neither truth nor prediction of
    this batch has counts `ZERO_DIVISION[absent]`. Foreground under the metric's name, all classes under
    `…_with_background`; NaN where nothing is left to average. Never select a model by these, unless a paper did.
    """
    from segmentation_models_pytorch.metrics import get_stats

    check_maps(prediction, truth, classes)
    # on the CPU: get_stats uses histc, which CUDA's deterministic mode refuses; signed: it marks ignored pixels by -1
    hits, extra, missed, _ = get_stats(
        prediction.cpu().long(), truth.cpu().long(), mode="multiclass", num_classes=classes, ignore_index=IGNORED
    )
    scores = _scores(*(stat.sum(0).numpy() for stat in (hits, extra, missed)))
    averages: dict[str, float] = {}
    for suffix, first in (("", 1), ("_with_background", 0)):
        for name, values in scores.items():
            filled = np.nan_to_num(values[first:], nan=ZERO_DIVISION[absent])
            averages[name + suffix] = _mean(filled[~np.isnan(filled)])
    return averages


def per_image(matrices: Counts, class_names: Sequence[str]) -> Iterator[tuple[int, str, str, float]]:
    """Yield (image, class, metric, value) from counts (N, K, K); undefined values are left out."""
    scores = per_class(matrices)
    for image in range(len(matrices)):
        for index, name in enumerate(class_names):
            for metric in METRICS:
                if not math.isnan(value := float(scores[metric][image, index])):
                    yield image, name, metric, value


def summary(
    matrices: Counts,
    class_names: Sequence[str],
    *,
    absent: Absent = "exclude",
    batch_averages: Sequence[Mapping[str, float]] = (),
    batch_size: int | None = None,
) -> dict[str, Any]:
    """Everything that a result says of a split, ready for JSON: counts (N, K, K), None where a score is undefined."""
    counts = as_array(matrices).sum(axis=0)
    true, predicted = counts.sum(axis=1), counts.sum(axis=0)
    scores = per_class(counts)
    batches: dict[str, Any] = {
        name: _plain(_mean(np.array([value for batch in batch_averages if not math.isnan(value := batch[name])])))
        for name in (batch_averages[0] if batch_averages else ())
    }
    stated = {"batches": len(batch_averages), "batch_size": batch_size, "zero_division": _plain(ZERO_DIVISION[absent])}
    return {
        "absent": absent,
        "images": len(matrices),
        "global_macro": _named(counts, class_names, absent, background=False),
        "global_macro_with_background": _named(counts, class_names, absent, background=True),
        "batch_average": batches | stated,
        "per_class": {
            name: {metric: _plain(float(scores[metric][index])) for metric in METRICS}
            | {"true_pixels": int(true[index]), "predicted_pixels": int(predicted[index])}
            for index, name in enumerate(class_names)
        },
        "false_positive_pixels_on_absent": {
            name: int(predicted[index]) for index, name in enumerate(class_names) if true[index] == 0
        },
    }


def _scores(hits: npt.NDArray[np.int64], extra: npt.NDArray[np.int64], missed: npt.NDArray[np.int64]) -> Scores:
    """The four scores from true positives, false positives and false negatives."""
    undefined = hits + extra + missed == 0
    denominators = {
        "dice": 2 * hits + extra + missed,
        "iou": hits + extra + missed,
        "precision": hits + extra,
        "recall": hits + missed,
    }
    scores = {name: (2 * hits if name == "dice" else hits) / np.maximum(all_, 1) for name, all_ in denominators.items()}
    return {name: np.where(undefined, np.nan, values) for name, values in scores.items()}


def _named(
    counts: npt.NDArray[np.int64], class_names: Sequence[str], absent: Absent, *, background: bool
) -> dict[str, Any]:
    mean = macro(counts, absent=absent, background=background, class_names=class_names)
    scores = {metric: _plain(getattr(mean, metric)) for metric in METRICS}
    return scores | {"averaged": mean.averaged, "of": mean.of}


def check_maps(prediction: Tensor, truth: Tensor, classes: int) -> None:
    """Refuse maps that would be counted wrongly, or into another class's cell."""
    if prediction.shape != truth.shape:
        raise AttnzooError(
            f"a prediction of shape {tuple(prediction.shape)} cannot be scored on a truth of {tuple(truth.shape)}",
            "resize the prediction to the truth: both are (B, *spatial) class indices",
        )
    if prediction.is_floating_point():
        raise AttnzooError("a prediction of fractions cannot be scored; it must be class indices", "take the argmax")
    for name, labels in (("prediction", prediction), ("truth", truth[truth != IGNORED])):
        lowest, highest = (int(labels.min()), int(labels.max())) if labels.numel() else (0, 0)
        if lowest < 0 or highest >= classes:
            raise AttnzooError(
                f"a {name} has class {min(lowest, 0) or highest}; with {classes} classes it can be 0 to {classes - 1}",
                f"{IGNORED} in the truth marks pixels that are not scored",
            )


def as_array(matrix: Counts) -> npt.NDArray[np.int64]:
    return (matrix.cpu().numpy() if isinstance(matrix, Tensor) else np.asarray(matrix)).astype(np.int64)


def _mean(values: npt.NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else math.nan


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else value
