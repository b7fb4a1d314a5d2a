"""Which images are picked, on numbers that can be followed by hand."""

import numpy as np
import pytest

from attnzoo.workflows.report import picks
from attnzoo.workflows.report.picks import changes, image_dice

NAN = np.nan
NAMES = ("a", "b", "c", "d", "e")
# classes x and y; e has nothing
DICE = np.array([[0.9, NAN], [0.5, 0.7], [0.2, 0.2], [NAN, 0.4], [NAN, NAN]])


def pick(names, dice, classes, changed=None, **options: int) -> picks.Picks:
    return picks.pick(names, dice, classes, np.zeros(len(classes)) if changed is None else np.array(changed), **options)


def told(**options: int) -> dict[str, list[str]]:
    return {one.image: [str(rule) for rule in one.rules] for one in pick(NAMES, DICE, ("x", "y"), **options).picks}


def test_best_median_and_worst_of_all_then_each_class() -> None:
    assert told() == {
        "a": ["best of all"],
        "d": ["median of all", "median for y"],
        "c": ["worst of all", "worst for x", "worst for y"],
        "b": ["median for x"],
    }


def test_there_is_room_for_so_many_and_the_rest_is_said() -> None:
    found = pick(NAMES, DICE, ("x", "y"), most=0)
    assert [one.image for one in found.picks] == ["a", "d", "c"]
    assert found.left_out == ("no room for the images that are median for x",)


def test_many_classes_do_not_crowd_out_the_rest() -> None:
    dice, names = np.random.default_rng(1).random((60, 10)), [f"{number:02}" for number in range(60)]
    found = pick(names, dice, "abcdefghij", [0, 0, 0.1, 0, 0, 0.3, 0.2, 0, 0, 0])
    assert [str(one.rules[0]) for one in found.picks] == [
        *("best of all", "median of all", "worst of all"),
        *(f"{which} for {of}" for of in "fgc" for which in ("worst", "median")),
    ]
    assert found.left_out[0].startswith("no room for the images that are median for a, worst for b, median for d, ")


def test_a_class_changes_by_what_its_mean_differs_most() -> None:
    better, worse = DICE + np.array([0.1, 0.0]), DICE - np.array([0.2, 0.1])
    assert changes(DICE, [DICE, better, worse]) == pytest.approx([0.2, 0.1])
    assert changes(DICE, []).tolist() == [0, 0]
    nowhere = np.full((5, 1), NAN)
    assert changes(nowhere, [nowhere]).tolist() == [0]


def test_of_equals_the_first_by_name_is_taken() -> None:
    found = pick(("z", "m", "k"), np.full((3, 1), 0.5), ("x",))
    assert [one.image for one in found.picks] == ["k", "m"]
    assert [str(rule) for rule in found.picks[0].rules] == ["best of all", "worst of all", "worst for x"]


def test_a_class_that_no_image_has_is_said() -> None:
    found = pick(NAMES, np.column_stack([DICE, np.full(5, NAN)]), ("x", "y", "z"))
    assert found.left_out == ("no test image has z in its truth",)


def test_nothing_at_all() -> None:
    found = pick(NAMES, np.full((5, 1), NAN), ("x",))
    assert found.picks == ()
    assert found.left_out == ("no test image has a class in its truth", "no test image has x in its truth")


def test_the_class_in_focus_is_the_one_picked_for() -> None:
    by_image = {one.image: one for one in pick(NAMES, DICE, ("x", "y")).picks}
    assert by_image["b"].focus == "x"
    assert by_image["d"].focus is None
    assert by_image["d"].overall


def test_dice_of_an_image_is_undefined_where_its_truth_lacks_the_class() -> None:
    counts = np.array([[[5, 1, 0], [1, 3, 0], [0, 0, 0]], [[9, 0, 1], [0, 0, 0], [0, 0, 0]]])
    assert image_dice(counts) == pytest.approx(np.array([[0.75, NAN], [NAN, NAN]]), nan_ok=True)
