"""Expected calibration error: three pixels by hand, what bounds it, and torchmetrics as oracle."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attnzoo import metrics

pixels = st.lists(st.tuples(st.floats(0.1, 1.0), st.booleans()), min_size=1, max_size=50)


def bins(*pairs: tuple[float, bool]) -> np.ndarray:
    sure, correct = zip(*pairs, strict=True)
    return metrics.reliability(np.array(sure), np.array(correct))


def test_three_pixels_by_hand() -> None:
    # 0.93 and 0.85 share no bin: (13/15, 14/15] and (12/15, 13/15]; 0.91 shares the first one's
    found = bins((0.93, True), (0.91, False), (0.85, True))
    assert found.shape == (3, metrics.BINS)
    assert found[0].tolist() == [0] * 12 + [1, 2, 0]
    assert found[2].tolist() == [0] * 12 + [1, 1, 0]
    assert metrics.calibration_error(found) == pytest.approx((abs(0.93 + 0.91 - 1) + abs(0.85 - 1)) / 3)


def test_a_bin_holds_its_upper_limit() -> None:
    found = bins((1.0, True), (0.2, True), (np.nextafter(0.2, 1), True), (0.0, False))
    assert found[0].nonzero()[0].tolist() == [0, 2, 3, 14]


def test_the_extremes() -> None:
    assert metrics.calibration_error(bins((1.0, True), (1.0, True))) == 0
    assert metrics.calibration_error(bins((1.0, False))) == 1
    assert math.isnan(metrics.calibration_error(np.zeros((3, metrics.BINS))))
    assert metrics.calibration_error(bins((math.nan, True))) == 1  # what is no number is no probability


@given(pixels)
@settings(deadline=None)
def test_torchmetrics_agrees_and_the_gap_of_means_is_a_lower_bound(pairs: list[tuple[float, bool]]) -> None:
    from torchmetrics.functional.classification import binary_calibration_error

    found = metrics.calibration_error(bins(*pairs))
    sure, correct = (np.array(column, float) for column in zip(*pairs, strict=True))
    assert abs(sure.mean() - correct.mean()) - 1e-9 <= found <= 1
    # its bins hold their lower limits, so numbers at a limit would part us
    if not np.isclose(sure * metrics.BINS, np.round(sure * metrics.BINS), atol=1e-5).any():
        # a binary "probability of 1" that is the confidence, and a target that says whether it was right
        oracle = binary_calibration_error(torch.tensor(sure), torch.tensor(correct).int(), n_bins=metrics.BINS)
        assert found == pytest.approx(float(oracle), abs=1e-6)


def test_images_add_up_and_an_images_own_error_is_no_smaller() -> None:
    sure, unsure = bins(*[(0.9, False)] * 4), bins(*[(0.9, True)] * 4)
    assert metrics.calibration_error(sure) == pytest.approx(0.9)
    assert metrics.calibration_error(unsure) == pytest.approx(0.1)
    assert metrics.calibration_error(sure + unsure) == pytest.approx(0.4)


def test_what_a_result_says_can_be_drawn() -> None:
    told = metrics.calibration(bins((0.95, True), (0.95, False), (0.55, True)))
    assert told["ece"] == pytest.approx((2 * 0.45 + 0.45) / 3)
    assert len(told["bins"]) == 15
    assert told["bins"][14] == {
        "from": 14 / 15, "to": 1.0, "pixels": 2, "confidence": pytest.approx(0.95), "accuracy": 0.5
    }  # fmt: skip
    assert told["bins"][0] == {"from": 0.0, "to": 1 / 15, "pixels": 0, "confidence": None, "accuracy": None}
    assert metrics.calibration(np.zeros((3, 15)))["ece"] is None
