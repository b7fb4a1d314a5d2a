"""Evidence: what is refused, in whose words, and strata."""

import math
from dataclasses import replace

import numpy as np
import pytest

from attnzoo.errors import AttnzooError
from attnzoo.statistics import by_class, compare

from .cases import evidence, plain, random_evidence

RANDOM = random_evidence(np.random.default_rng(1))


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        ({"arms": ()}, "the evidence has no arms", "statistics need finished runs with test scores"),
        ({"arms": ("none", "none")}, "the arm `none` is there twice", "each is to be counted once"),
        ({"images": ("i0",) * 8}, "the image `i0` is there twice", "each is to be counted once"),
        ({"classes": ("c0", "c0", "c1")}, "the class `c0` is there twice", "each is to be counted once"),
        ({"seeds": (3, 3)}, "the seed `3` is there twice", "each is to be counted once"),
        ({"groups": ("a", "b")}, "2 groups do not fit 8 images", "`groups` names the group of each image"),
        (
            {"seeds": (0,)},
            "`top` has the shape `(2, 2, 8, 3)` where the names say `(2, 1, 8, 3)`",
            "`top` and `bottom` are (arms, seeds, images, classes), `there` is (images, classes)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(change: dict, message: str, hint: str) -> None:
    with pytest.raises(AttnzooError) as caught:
        replace(RANDOM, **change)
    assert (caught.value.message, caught.value.hint) == (message, hint)


@pytest.mark.parametrize(("value", "said"), [(np.nan, "nan"), (np.inf, "inf"), (-1.0, "-1.0")])
def test_a_broken_score_is_named(value: float, said: str) -> None:
    top = RANDOM.top.copy()
    top[1, 0, 5, 2] = value
    with pytest.raises(AttnzooError) as caught:
        replace(RANDOM, top=top)
    assert caught.value.message == f"`a1` has a dice of `{said}` for `c2` in `i5` at seed 0"
    assert caught.value.hint == "a score that is undefined is 0 over 0; anything else means a broken run: run it again"


def test_only_keeps_the_order_given_and_names_what_is_meant() -> None:
    some = RANDOM.only(["c2", "c0"])
    assert some.classes == ("c2", "c0")
    assert np.array_equal(some.top, RANDOM.top[..., [2, 0]])
    with pytest.raises(AttnzooError) as caught:
        RANDOM.only(["c3"])
    assert caught.value.message == "`c3` is no class of this evidence, which has `c0`, `c1` and `c2`"
    assert caught.value.hint == "did you mean `c2`?"


def test_where_is_a_stratum() -> None:
    mask = np.zeros((8, 3), bool)
    mask[[0, 2, 7], 0] = True
    part = RANDOM.where(mask)
    assert part.images == ("i0", "i2", "i7")
    assert part.groups == ("a", "b", "d")
    assert np.array_equal(part.top[..., 0], RANDOM.top[:, :, [0, 2, 7], 0])
    assert not part.top[..., 1:].any()
    assert not part.there[:, 1:].any()
    assert compare(part).classes == ("c0",)


def test_a_stratum_must_fit_and_hold_something() -> None:
    with pytest.raises(AttnzooError) as caught:
        RANDOM.where(np.ones((8, 2), bool))
    assert caught.value.message == "a stratum of shape `(8, 2)` cannot mask 8 images × 3 classes"
    with pytest.raises(AttnzooError) as caught:
        RANDOM.where(np.zeros((8, 3), bool))
    assert caught.value.message == "no test image's ground truth has anything in this stratum"


def test_a_class_nobody_has_is_left_out_and_said() -> None:
    there = RANDOM.there.copy()
    there[:, 1] = False
    lacking = replace(RANDOM, there=there)
    found = compare(lacking)
    assert found.classes == ("c0", "c2")
    assert "`c1` is in no test image's ground truth, and left out" in found.cautions
    assert list(by_class(lacking)) == ["c0", "c2"]
    assert found.arms[0].per_seed == compare(RANDOM.only(["c0", "c2"])).arms[0].per_seed
    with pytest.raises(AttnzooError) as caught:
        compare(lacking.only(["c1"]))
    assert caught.value.message == "no test image's ground truth has `c1`"
    assert caught.value.hint == "there is nothing to score; choose classes that the test images have"


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"reference": "a2"}, "`a2` is no arm of this evidence, which has `none` and `a1`", "did you mean `a1`?"),
        (
            {"reference": "x"},
            "`x` is no arm of this evidence, which has `none` and `a1`",
            "name one of them as the reference",
        ),
        ({"level": 95}, "`95` is no level of an interval, which is between 0.5 and 1", "95 % is `0.95`"),
        ({"margin": 0}, "`0` is no margin, which is above 0", "it is the difference that would not matter"),
        ({"draws": 10}, "draws of `10` are too few, 100 is the least", "leave the default"),
        ({"permutations": 1}, "permutations of `1` are too few, 20 is the least", "leave the default"),
    ],
)
def test_impossible_options_are_refused(options: dict, message: str, hint: str) -> None:
    with pytest.raises(AttnzooError) as caught:
        compare(RANDOM, **options)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_a_sole_arm_is_refused() -> None:
    with pytest.raises(AttnzooError) as caught:
        compare(plain([[[0.5, 0.6]]]))
    assert caught.value.message == "`none` is the only arm: there is nothing to compare it with"
    assert caught.value.hint == "run another arm"


def test_a_distance_that_nobody_has_is_refused_and_one_that_some_lack_is_said() -> None:
    distances = [[[[3.0], [5.0]]], [[[2.0], [0.0]]]]
    there_or_not = [[[[1.0], [1.0]]], [[[1.0], [0.0]]]]
    some = evidence(distances, there_or_not, "ab", metric="hd95", higher_is_better=False, largest=math.inf)
    said = compare(some).arms[1].difference
    assert said is not None
    assert said.interval.estimate == 2 - 4
    assert (
        "`ema` has no HD95 in 1 of 2 cases, `none` in 0: the means are over the others, and not over the same"
        in said.cautions
    )
    none = evidence(
        distances, [[[[1.0], [1.0]]], [[[0.0], [0.0]]]], "ab", metric="hd95", higher_is_better=False, largest=math.inf
    )
    with pytest.raises(AttnzooError) as caught:
        compare(none)
    assert caught.value.message == "`ema` has no hd95 of `c0` in any test image at seed 0"
    assert caught.value.hint == "a mean over nothing cannot be compared; leave the class out, or compare Dice"
