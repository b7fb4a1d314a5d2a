"""Strata of size, and images without foreground: counts by hand."""

import numpy as np
import pytest

from attnzoo import metrics

NAMES = ("background", "a", "b")


def image(a: int = 0, b: int = 0, *, hit_a: int = 0, hit_b: int = 0, extra_a: int = 0) -> np.ndarray:
    """Counts with so many true pixels of each class, so many found, and `extra_a` of the background's taken for a."""
    return np.array([[100 - extra_a, extra_a, 0], [a - hit_a, hit_a, 0], [b - hit_b, 0, hit_b]])


MATRICES = np.stack(
    [
        image(a=1, b=10, hit_b=5),  # small a, medium b
        image(a=2, hit_a=2),  # small
        image(b=20, hit_b=20),  # medium
        image(a=30, hit_a=15, extra_a=9),  # large
        image(b=40),  # large
        image(extra_a=7),  # empty
        image(),  # empty
    ]
)


def test_terciles_of_true_size() -> None:
    table = metrics.strata(MATRICES, NAMES)
    assert {name: (one["from_pixels"], one["to_pixels"], one["pairs"]) for name, one in table.items()} == {
        "small": (1, 2, 2),
        "medium": (3, 20, 2),
        "large": (21, 40, 2),
    }
    # Σ 2·TP / Σ (true + predicted) of the pairs
    assert table["small"]["per_class"]["a"] == {"pairs": 2, "dice": pytest.approx(4 / (1 + 2 + 2))}
    assert table["small"]["per_class"]["b"] == {"pairs": 0, "dice": None}
    assert (table["small"]["dice"], table["small"]["averaged"]) == (pytest.approx(0.8), 1)
    assert table["medium"]["per_class"]["b"] == {"pairs": 2, "dice": pytest.approx(2 * 25 / (10 + 5 + 20 + 20))}
    assert table["large"]["per_class"]["a"]["dice"] == pytest.approx(30 / (30 + 24))
    assert table["large"]["per_class"]["b"]["dice"] == 0
    assert table["large"]["dice"] == pytest.approx((30 / 54 + 0) / 2)


def test_terciles_of_a_number_that_three_does_not_divide() -> None:
    table = metrics.strata(np.stack([image(a=size) for size in (1, 2, 3, 4)]), NAMES)
    assert [one["pairs"] for one in table.values()] == [2, 1, 1]


def test_limits_depend_on_the_truth_alone() -> None:
    other = MATRICES.copy()
    other[..., 0] += other[..., 1:].sum(-1)
    other[..., 1:] = 0  # everything is background to this one
    ours, theirs = metrics.strata(MATRICES, NAMES), metrics.strata(other, NAMES)
    for name in ours:
        for key in ("from_pixels", "to_pixels", "pairs", "averaged"):
            assert ours[name][key] == theirs[name][key]
        assert theirs[name]["dice"] == 0


def test_one_stratum_of_all_is_the_global_macro() -> None:
    equal = np.stack([image(a=4, hit_a=1, extra_a=3), image(a=4, hit_a=4), image(b=4, hit_b=2)])
    table = metrics.strata(equal, NAMES)
    assert [one["pairs"] for one in table.values()] == [3, 0, 0]  # equal sizes share a stratum
    assert table["small"]["dice"] == pytest.approx(metrics.macro(equal.sum(0)).dice)
    assert table["medium"]["dice"] is None


def test_without_any_pair_nothing_is_defined() -> None:
    table = metrics.strata(image()[None], NAMES)
    assert [(one["pairs"], one["dice"], one["averaged"]) for one in table.values()] == [(0, None, 0)] * 3


def test_images_without_foreground_are_told_apart() -> None:
    assert metrics.empty_images(MATRICES) == {"images": 2, "with_false_positives": 1, "false_positive_pixels": 7}
    assert metrics.empty_images(MATRICES[:5]) == {"images": 0, "with_false_positives": 0, "false_positive_pixels": 0}


def test_one_pixel_is_a_false_positive() -> None:
    told = metrics.empty_images(image(extra_a=1)[None])
    assert told == {"images": 1, "with_false_positives": 1, "false_positive_pixels": 1}
