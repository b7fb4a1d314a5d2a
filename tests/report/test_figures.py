"""The report's pictures: their bytes, their words, and the numbers in them."""

import math
import re

import numpy as np
import pytest

from attnzoo.report import figures
from attnzoo.report.figures.reliability import error, pooled
from attnzoo.statistics import Arm, Comparison, Difference, Interval

NAN = math.nan


def difference(estimate: float, low: float, high: float, verdict: str = "no difference shown") -> Difference:
    given, seeds = Interval(estimate, low, high), (estimate - 0.01, estimate + 0.01)
    return Difference("none", given, seeds, 0.5, 0.6, 0.2, 0.2, 0.4, 0.05, verdict, "In words.", ())  # type: ignore[arg-type]


def comparison(**differences: Difference) -> Comparison:
    arms = [Arm("none", Interval(0.5, 0.4, 0.6), (0.49, 0.51), None)]
    arms += [Arm(name, Interval(0.6, 0.5, 0.7), (0.59, 0.61), one) for name, one in differences.items()]
    return Comparison("dice", True, "none", 0.95, 0.02, tuple(arms), 8, 40, 2, ("a", "b"), "by resampling.", ())


def every() -> list[figures.Drawn]:
    bins = [{"pixels": 10, "confidence": 0.9, "accuracy": 0.8}, {"pixels": 0, "confidence": None, "accuracy": None}]
    curve = {"epoch": (1, 2), "train_loss": (0.9, 0.4), "val_loss": (0.8, 0.5), "val_macro_dice": (0.2, 0.6)}
    panel = figures.Panel(np.zeros((8, 8, 3), np.uint8), "image", (((1, 1, 5, 1, 5, 5), (230, 159, 0)),))
    return [
        figures.forest(comparison(ema=difference(0.1, 0.05, 0.15, "gain"), gate=difference(-0.01, -0.04, 0.02))),
        figures.curves({"none": [curve, curve], "ema": [curve]}, "none"),
        figures.confusion({"none": np.array([[8, 2], [1, 3]])}, ("background", "a")),
        figures.reliability({"none": [bins, bins]}, "none"),
        figures.panels("cases", [("worst", [panel] * 5)], [("missed", (0, 0, 0))], "What is seen.", "Caption.", 3),
    ]


@pytest.mark.parametrize("number", range(5))
def test_a_picture_has_three_formats_and_the_same_bytes_again(number: int) -> None:
    """The PDFs and PNGs of a whole report are drawn twice in test_report."""
    files = every()[number].files()
    assert list(files) == ["svg", "pdf", "png"]
    assert every()[number].files(["svg"])["svg"] == files["svg"]


def test_the_forest_says_numbers_and_verdicts() -> None:
    drawn = every()[0]
    svg = drawn.files(["svg"])["svg"].decode()
    words = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    assert {"ema", "gate", "Dice − Dice of none"} <= set(words)
    assert "+0.1000 [+0.0500, +0.1500]   gain" in words
    assert "ema +0.1000 [+0.0500, +0.1500], gain" in drawn.alt
    assert "±0.02" in drawn.caption


def test_a_difference_without_an_interval_is_drawn_without_one() -> None:
    drawn = figures.forest(comparison(ema=difference(0.1, NAN, NAN)))
    assert "ema +0.1000, no difference shown" in drawn.alt
    assert b"ema" in drawn.files(["svg"])["svg"]


def test_curves_tell_where_arms_end_and_what_was_not_recorded() -> None:
    drawn = every()[1]
    assert "ema ends at a validation Dice of 0.600" in drawn.alt
    assert "No Dice of training is recorded" in drawn.caption


def test_a_curve_of_one_epoch_is_a_dot() -> None:
    drawn = figures.curves({"none": [{"epoch": (1,), "train_loss": (0.5,), "val_macro_dice": (0.1,)}]}, "none")
    assert b"training loss" in drawn.files(["svg"])["svg"]


def test_confusion_is_in_per_cent_of_the_truth() -> None:
    drawn = every()[2]
    words = re.findall(r"<text[^>]*>([^<]*)</text>", drawn.files(["svg"])["svg"].decode())
    assert {"80", "20", "25", "75"} <= set(words)
    assert "background 80%, a 75%" in drawn.alt


def test_bins_of_seeds_are_pooled_by_their_pixels() -> None:
    one = [{"pixels": 30, "confidence": 0.9, "accuracy": 0.6}]
    other = [{"pixels": 10, "confidence": 0.5, "accuracy": 1.0}]
    assert pooled([one, other]) == [(40, pytest.approx(0.8), pytest.approx(0.7))]
    assert error(pooled([one, other])) == pytest.approx(0.1)
