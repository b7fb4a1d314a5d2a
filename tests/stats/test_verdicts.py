"""Verdicts and their sentences, word for word."""

import math
from dataclasses import replace

import numpy as np
import pytest

from attnzoo.statistics import Comparison, Difference, by_class, compare
from attnzoo.statistics.controls import control
from attnzoo.statistics.records import Interval
from attnzoo.statistics.words import Judged, Terms, sentence

from .cases import evidence, plain

RANDOM = np.random.default_rng(0)
HARD = RANDOM.normal(0.6, 0.1, 12)


def arms(*shifts: float, seeds: int = 5, groups: int = 12, noise: float = 0.004) -> np.ndarray:
    """Scores (A, S, N): `none`, and arms that differ from it by these shifts and little noise."""
    random = np.random.default_rng(1)
    every = [HARD[:groups] + shift + random.normal(0, noise, (seeds, groups)) for shift in (0.0, *shifts)]
    return np.stack(every)


def differences(found: Comparison) -> list[Difference]:
    return [arm.difference for arm in found.arms if arm.difference is not None]


def test_gain_loss_and_neither() -> None:
    found = compare(plain(arms(0.02, -0.03, 0.0)))
    assert [one.verdict for one in differences(found)] == ["gain", "loss", "no difference shown"]
    assert [one.words for one in differences(found)] == GAIN_LOSS_NEITHER
    assert found.arms[0].difference is None
    assert found.cautions == ()


def test_where_less_is_better_a_gain_is_less() -> None:
    distances = 40 * (1 - arms(0.02, -0.03, 0.0))
    found = compare(plain(distances, metric="hd95", higher_is_better=False, largest=math.inf))
    assert [one.verdict for one in differences(found)] == ["gain", "loss", "no difference shown"]
    assert differences(found)[0].words == LESS
    assert differences(found)[0].interval.high < 0
    assert differences(found)[0].superior == 1
    assert differences(found)[0].effect < 0


@pytest.mark.parametrize("top", [math.inf, 1.0])
def test_an_interval_ends_where_scores_do_whatever_was_measured(top: float) -> None:
    """Distances of 0 and 1 pixel are no shares: their mean might have been above 1."""
    values = np.ones((2, 3, 6))
    values[:, :, 0] = 0
    found = compare(plain(values, metric="hd95", higher_is_better=False, largest=top))
    assert found.arms[0].score.estimate == pytest.approx(5 / 6)
    assert (found.arms[0].score.high > 1) == (top > 1)
    assert found.arms[0].score.high <= top


def judged(interval: tuple[float, float], narrow: tuple[float, float]) -> Judged:
    terms = Terms("dice", True, 0.95, 0.03, 20, 5, 1, 1.0)
    middle = sum(interval) / 2
    return Judged(Interval(middle, *interval), Interval(middle, *narrow), 0.5, 0.1, terms)


def test_equivalence_needs_both_ends_of_the_narrow_interval_within_the_margin() -> None:
    assert judged((-0.02, 0.02), (-0.015, 0.015)).verdict == "equivalent"
    assert judged((-0.032, 0.02), (-0.028, 0.01)).verdict == "equivalent"  # the wide one may reach beyond
    assert judged((-0.05, 0.02), (-0.04, 0.01)).verdict == "no difference shown"
    assert judged((-0.02, 0.05), (-0.01, 0.04)).verdict == "no difference shown"


def test_an_interval_without_zero_that_shows_nothing_says_why() -> None:
    words = sentence("se", "none", judged((-0.075, -0.016), (-0.07, -0.02)))
    assert words == (
        "No difference between `se` and `none` is shown: −0.045 Dice (95 % interval −0.075 to −0.016; p = 0.50), so "
        "that chance may explain it although the interval leaves 0 out; 20 groups and 5 seeds could have shown 0.10"
    )


def test_what_is_the_same_everywhere_is_no_sign_of_power() -> None:
    same = np.tile(HARD, (2, 3, 1))
    assert differences(compare(plain(same)))[0].words.endswith(
        "p = 1.00); it is the same everywhere, so that nothing tells what could have been shown."
    )


def test_images_that_nobody_grouped() -> None:
    assert compare(plain(arms(0.02), ungrouped=True)).cautions == (
        "no `data.group_pattern` says which images are of one patient or photo, so each counts by itself: if some "
        "belong together, intervals and p are too sure",
    )


def test_equivalence_needs_a_margin_and_a_difference_within_it_is_said() -> None:
    found = compare(plain(arms(0.02, 0.0)), margin=0.03)
    assert [one.verdict for one in differences(found)] == ["gain", "equivalent"]
    assert [one.words for one in differences(found)] == EQUIVALENT
    assert "Equivalence: the 90 % interval within ±0.03." in found.method
    narrow = compare(plain(arms(0.02, 0.0)), margin=0.0005)
    assert differences(narrow)[1].verdict == "no difference shown"


def test_one_seed_is_said_in_the_sentence() -> None:
    found = compare(plain(arms(0.02, seeds=1)))
    assert differences(found)[0].words == ONE_SEED
    assert found.cautions == ("1 seed: intervals and p say nothing of retraining; another seed may turn the verdict",)
    assert differences(found)[0].cautions[0] == found.cautions[0]
    assert "there is one seed, so that retraining is not covered" in found.method


def test_one_group_has_no_interval() -> None:
    scores = arms(0.02, seeds=3)
    found = compare(replace(plain(scores), groups=("p1",) * 12))
    one = differences(found)[0]
    assert one.words == ONE_GROUP
    assert (one.p, one.p_groups, one.p_holm) == (1, 1, 1)
    assert all(math.isnan(value) for value in (one.interval.low, one.interval.high, one.smallest, one.effect))
    assert math.isnan(found.arms[0].score.low)
    assert found.cautions == ("1 group: no interval and no test, for images of one group say nothing of another",)
    assert found.method.endswith("One group: no interval and no test.")


def test_few_groups_and_seeds_are_said() -> None:
    found = compare(plain(arms(0.1, seeds=2, groups=5)))
    assert found.cautions == (
        "2 seeds: fewer than 3, so that how far seeds differ is hardly known",
        "5 groups: fewer than 10, so that one odd group may decide; no p is below 0.062",
        "5 groups cannot show any difference: the smallest possible p is 0.062 before correction",
    )
    assert differences(found)[0].verdict == "no difference shown"
    assert differences(found)[0].words.endswith("; 5 groups and 2 seeds could have shown no difference, however large.")
    few = compare(plain(arms(0.02, 0.0)), permutations=39)
    assert (
        "39 permutations cannot show any difference among 2 arms: the smallest possible p is 0.025 before correction"
        in (few.cautions)
    )


def test_a_difference_that_no_score_can_have_is_not_said_to_be_shown() -> None:
    lucky = arms(0.0, seeds=2)
    lucky[1, 0] += 0.2
    one = differences(compare(plain(lucky)))[0]
    assert 1 < one.smallest < math.inf
    assert one.words.endswith("; 12 groups and 2 seeds could have shown no difference, however large.")


def test_rare_classes_healthy_groups_and_large_ones_are_said() -> None:
    top = np.full((2, 1, 6, 2), 5.0)
    bottom = np.full((2, 1, 6, 2), 10.0)
    there = np.array([[1, 1], [1, 0], [1, 0], [1, 0], [0, 0], [0, 0]], bool)
    bottom[:, :, 0] = 1000
    assert compare(evidence(top, bottom, "abcdef", there=there)).cautions[1:4] == (
        "2 of 6 groups have no ground truth: they count by what is wrongly found in them, and intervals rest on the "
        "others",
        "4 groups: fewer than 10, so that one odd group may decide; no p is below 0.031",
        "`c1` is in 1 group of 4: its share of the score rests on that",
    )
    bottom[:, :, :, :] = 10
    bottom[:, :, 0] = 1000
    said = compare(evidence(top, bottom, "abcdef")).cautions
    assert "6 groups weigh as 2.0 of equal size: a few hold most of what is scored" in said


def test_identical_arms_differ_by_nothing() -> None:
    same = arms()
    one = differences(compare(plain(np.concatenate([same, same]))))[0]
    assert (one.interval.estimate, one.interval.low, one.interval.high, one.p, one.superior) == (0, 0, 0, 1, 0.5)
    assert math.isnan(one.effect)
    assert one.verdict == "no difference shown"


def test_what_a_matched_control_shows_as_well_is_capacity() -> None:
    names = "none ema matched:block=[ema]"
    alike = differences(compare(plain(arms(0.02, 0.02), arms=names)))
    assert [one.verdict for one in alike] == ["gain", "gain"]
    assert alike[0].words == CAPACITY
    assert "capacity" not in alike[1].words
    better = differences(compare(plain(arms(0.06, 0.02), arms=names)))
    assert "capacity" not in better[0].words
    useless = differences(compare(plain(arms(0.02, 0.0), arms=names)))
    assert "capacity" not in useless[0].words
    other = differences(compare(plain(arms(0.02, 0.02), arms="none ema matched:block=[se]")))
    assert "capacity" not in other[0].words


def test_what_a_frozen_block_shows_as_well_is_not_learnt() -> None:
    alike = differences(compare(plain(arms(0.02, 0.02), arms="none ema@skip2 frozen:block=[ema]@skip2")))
    assert alike[0].words == FROZEN


def test_a_gain_without_a_control_is_said() -> None:
    names = "none ema"
    found = compare(plain(arms(0.02), arms=names))
    assert differences(found)[0].cautions == ("no control `matched:block=[ema]` ran: capacity alone may bring as much",)
    assert differences(compare(plain(arms(0.0), arms=names)))[0].cautions == ()
    assert differences(compare(plain(arms(-0.02), arms=names), "ema"))[0].cautions == ()


@pytest.mark.parametrize(
    ("arm", "spelt"),
    [
        ("ema", "matched:block=[ema]"),
        ("ema:groups=8@bottleneck", "matched:block=[ema:groups=8]@bottleneck"),
        ("ema+gate", "matched:block=[ema]+matched:block=[gate]"),
        (
            "ema+gate@skip/ema@bottleneck",
            "matched:block=[ema]+matched:block=[gate]@skip/matched:block=[ema]@bottleneck",
        ),
        ("x:how='a+b/c@d'", "matched:block=[x:how='a+b/c@d']"),
        ("none", ""),
        ("matched:block=[ema]", ""),
        ("frozen:block=[ema]", ""),
        ("my run 3", ""),
    ],
)
def test_controls_are_known_by_their_spelling(arm: str, spelt: str) -> None:
    assert control(arm, "matched") == spelt


def test_classes_alone_have_verdicts_of_their_own() -> None:
    scores = np.stack([arms(0.02), arms(0.0)], axis=-1)
    found = by_class(replace(plain(arms(0.02)), classes=("lens", "blob"), top=scores, bottom=np.ones_like(scores),
                             there=np.ones((12, 2), bool)), margin=0.01)  # fmt: skip
    assert {name: differences(one)[0].verdict for name, one in found.items()} == {"lens": "gain", "blob": "equivalent"}
    assert [one.classes for one in found.values()] == [("lens",), ("blob",)]


def test_a_score_stays_within_what_is_possible() -> None:
    found = compare(plain([[[1.0, 1.0, 0.7]], [[0.0, 0.0, 0.3]]]))
    assert found.arms[0].score.high == 1
    assert found.arms[1].score.low == 0


def test_the_method_is_stated() -> None:
    assert compare(plain(arms(0.02, 0.0))).method == METHOD
    nsd, ece = (
        replace(plain(arms(0.02)), metric=metric, classes=(name,)) for metric, name in (("nsd", "lens"), ("ece", "all"))
    )
    assert compare(nsd).method.startswith("A score is the mean over 5 seeds and 1 class of means over all images. ")
    assert compare(ece).method.startswith(
        "A score is the mean over 5 seeds and all classes together of means over all images. "
    )


GAIN_LOSS_NEITHER = [
    "`a1` gains on `none`: +0.0200 Dice (95 % interval +0.0181 to +0.0218; p = 0.001, Holm over 3 arms).",
    "`a2` loses to `none`: −0.0303 Dice (95 % interval −0.0322 to −0.0284; p = 0.001, Holm over 3 arms).",
    "No difference between `a3` and `none` is shown: −0.0005 Dice (95 % interval −0.0018 to +0.0008; p = 0.44, Holm "
    "over 3 arms); 12 groups and 5 seeds could have shown 0.0023.",
]
LESS = (
    "`a1` gains on `none`: −0.799 HD95, less is better (95 % interval −0.873 to −0.725; p = 0.001, Holm over 3 arms)."
)
EQUIVALENT = [
    "`a1` gains on `none`: +0.0200 Dice (95 % interval +0.0181 to +0.0218; p < 0.001, Holm over 2 arms), less than "
    "the margin of ±0.03.",
    "`a2` and `none` are equivalent within ±0.03: −0.0003 Dice (90 % interval −0.0018 to +0.0013, 95 % interval "
    "−0.0022 to +0.0016; p = 0.75, Holm over 2 arms).",
]
ONE_SEED = (
    "`a1` gains on `none` at this one seed, whatever another training would give: +0.0190 Dice (95 % interval +0.0167 "
    "to +0.0214; p < 0.001)."
)
ONE_GROUP = "No difference between `a1` and `none` is shown: +0.0191 Dice (no interval: 1 group)."
CAPACITY = (
    "`ema` gains on `none`: +0.0200 Dice (95 % interval +0.0181 to +0.0218; p < 0.001, Holm over 2 arms); its control "
    "`matched:block=[ema]` gains too, +0.0197 Dice (95 % interval +0.0178 to +0.0216; p < 0.001, Holm over 2 arms), "
    "and `ema` is not shown to be better than it, +0.0002 Dice (95 % interval −0.0016 to +0.0021; p = 0.78): "
    "capacity, not attention."
)
FROZEN = (
    "`ema@skip2` gains on `none`: +0.0200 Dice (95 % interval +0.0181 to +0.0218; p < 0.001, Holm over 2 arms); "
    "frozen as `frozen:block=[ema]@skip2` it gains too, +0.0197 Dice (95 % interval +0.0178 to +0.0216; p < 0.001, "
    "Holm over 2 arms), and `ema@skip2` is not shown to be better than that, +0.0002 Dice (95 % interval −0.0016 to "
    "+0.0021; p = 0.78): the block's form, not what it learns."
)
METHOD = (
    "A score is the mean over 5 seeds and 1 class of ratios of sums over all images. 95 % intervals: the variance of "
    "2,000 paired draws of whole groups (11 degrees of freedom) and that between seeds (4), each with its own t "
    "quantile (Banerjee 1960). p: the larger of the interval's own and that of a paired permutation test (all 2,048 "
    "distinct swaps of whole groups, two-sided), after Holm over 2 arms. Smallest difference: 80 % power at the level "
    "0.05/2. Random numbers: PCG64, seed 0."
)
