"""Does a network that is 80 % sure be right in 80 % of the pixels? The expected calibration error, from bins.

Fifteen bins of equal width over the largest softmax probability, all classes together, ignored pixels left out; a bin
holds its upper limit and not its lower one. Guo et al., ICML 2017. All numbers are functions of three counts a bin,
which add up over images: an image's own error is larger than the split's, where what is too sure here makes up for
what is not sure enough there.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

BINS = 15
Bins = npt.NDArray[np.float64]


def reliability(confidence: npt.NDArray[np.floating], correct: npt.NDArray[np.bool_]) -> Bins:
    """Count pixels by their largest probability → (3, 15): pixels, the sum of probabilities, how many are right."""
    # a probability that is no number is none
    sure = np.nan_to_num(confidence.astype(np.float64).ravel())
    place = np.clip(np.ceil(sure * BINS) - 1, 0, BINS - 1).astype(np.int64)
    weights = (None, sure, correct.ravel())
    return np.stack([np.bincount(place, weight, BINS) for weight in weights]).astype(np.float64)


def calibration_error(bins: Bins) -> float:
    """The mean over pixels of |probability − share of right ones| of their bin; NaN without pixels."""
    pixels, sure, correct = bins
    return float(np.abs(sure - correct).sum() / pixels.sum()) if pixels.sum() else math.nan


def calibration(bins: Bins) -> dict[str, Any]:
    """What a result says of a split: the error, and for each bin what a reliability diagram draws."""
    error = calibration_error(bins)
    return {
        "ece": None if math.isnan(error) else error,
        "bins": [
            {
                "from": index / BINS,
                "to": (index + 1) / BINS,
                "pixels": int(pixels),
                "confidence": float(sure / pixels) if pixels else None,
                "accuracy": float(correct / pixels) if pixels else None,
            }
            for index, (pixels, sure, correct) in enumerate(bins.T)
        ],
    }
