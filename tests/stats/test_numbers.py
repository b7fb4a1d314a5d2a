"""Scores, draws, swaps and corrections: by hand, by naive loops, and against scipy."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from attnzoo.statistics import compare, flips
from attnzoo.statistics.spread import Spread, spread
from attnzoo.statistics.sums import by_group, drawn_scores, macro, scores, scores_per_group

from .cases import evidence, naive_score, plain, random_evidence


def test_a_score_by_hand() -> None:
    # c0: (8 + 2) / (10 + 10) = 0.5; c1, in one image alone, with false finds in the other: 3 / (6 + 4) = 0.3
    one = [[[8, 0], [2, 3]]]
    under = [[[10, 4], [10, 6]]]
    # the other arm: 15 / 20 and 6 / 10
    two = [[[9, 0], [6, 6]]]
    found = compare(evidence([one, two], [under, under], "ab", there=[[1, 0], [1, 1]]))
    assert found.arms[0].per_seed == (pytest.approx(0.4),)
    assert found.arms[1].score.estimate == pytest.approx(0.675)
    difference = found.arms[1].difference
    assert difference is not None
    assert difference.interval.estimate == pytest.approx(0.275)
    # group a: c0 alone, 0.9 − 0.8; group b: (0.6 + 1)/2 − (0.2 + 0.5)/2
    apart = [0.1, 0.45]
    assert difference.effect == pytest.approx(np.mean(apart) / np.std(apart, ddof=1))
    assert difference.superior == 1
    assert (found.groups, found.images, found.seeds) == (2, 2, 1)


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_naive_loops(seed: int) -> None:
    of = random_evidence(np.random.default_rng(seed), arms=3)
    sums = by_group(of)
    for arm, at in itertools.product(range(3), range(2)):
        assert scores(sums)[arm, at] == pytest.approx(naive_score(of, arm, at, list(sums.names)))
        for index, name in enumerate(sums.names):
            assert scores_per_group(sums)[index, arm, at] == pytest.approx(
                naive_score(of, arm, at, [name]), nan_ok=True
            )


def test_where_less_is_better_a_class_that_one_arm_lacks_is_left_out_for_all() -> None:
    top = np.array([[[4.0, 2.0]], [[0.0, 6.0]]])  # (A, S, K): the second arm has no value of the first class
    bottom = np.array([[[2.0, 1.0]], [[0.0, 2.0]]])
    assert macro(top, bottom, np.array([True, True]), False).tolist() == [[2.0], [3.0]]


def test_draws_are_those_of_naive_loops() -> None:
    of = random_evidence(np.random.default_rng(3), arms=3)
    sums = by_group(of)
    drawn = drawn_scores(sums, 50, np.random.default_rng(7))
    weights = np.random.default_rng(7).multinomial(4, [1 / 4] * 4, size=50)
    named = [[name for name, times in zip(sums.names, row, strict=True) for _ in range(times)] for row in weights]
    expected = [[[naive_score(of, arm, at, names) for at in range(2)] for arm in range(3)] for names in named]
    assert drawn == pytest.approx(np.array([row for row in expected if np.isfinite(row).all()]))


def test_swaps_are_those_of_naive_loops() -> None:
    of = random_evidence(np.random.default_rng(5), arms=3)
    sums = by_group(of)
    swaps = flips.patterns(4, 100, np.random.default_rng(0))
    assert len({tuple(row) for row in swaps}) == 8
    assert not swaps[:, 0].any()
    for row, found in zip(swaps, flips.swapped(sums, 2, 1, swaps), strict=True):
        mixed = [of.top.copy(), of.bottom.copy()]
        for image, group in enumerate(of.groups):
            if row[sums.names.index(group)]:
                for values in mixed:
                    values[[1, 2], :, image] = values[[2, 1], :, image]
        other = evidence(*mixed, "".join(of.groups), arms="none a1 a2", there=of.there)
        expected = np.mean(
            [naive_score(other, 2, at, list("abcd")) - naive_score(other, 1, at, list("abcd")) for at in (0, 1)]
        )
        assert found == pytest.approx(expected)


@pytest.mark.parametrize("groups", [5, 9])
def test_p_is_scipys_where_the_statistic_is_a_plain_mean(groups: int) -> None:
    values = np.random.default_rng(groups).normal(0.5, 0.1, (2, 1, groups)).clip(0)
    difference = compare(plain(values)).arms[1].difference
    assert difference is not None
    oracle = scipy.stats.permutation_test(
        (values[1, 0], values[0, 0]),
        lambda x, y: np.mean(x) - np.mean(y),
        permutation_type="samples",
        n_resamples=np.inf,
    )
    assert difference.p_groups == pytest.approx(oracle.pvalue)


def test_drawn_swaps_approach_the_exact_p_and_count_the_data_once() -> None:
    values = np.random.default_rng(2).normal(0.5, 0.1, (2, 1, 12)).clip(0)
    values[1] += 0.05
    exact = compare(plain(values)).arms[1].difference
    drawn = compare(plain(values), permutations=2000).arms[1].difference
    assert exact is not None
    assert drawn is not None
    assert drawn.p_groups == pytest.approx(exact.p_groups, abs=3 * math.sqrt(exact.p_groups / 2000) + 1 / 2000)
    far = compare(plain(np.stack([values[0], values[0] + 0.3])), permutations=500).arms[1].difference
    assert far is not None
    assert far.p_groups == pytest.approx(1 / 501)


def test_five_groups_cannot_fall_below_two_of_32() -> None:
    assert flips.least(5, 10_000) == 2 / 32
    assert flips.least(60, 9_999) == 1 / 10_000
    far = compare(plain([[[0.1, 0.2, 0.3, 0.4, 0.5]], [[0.6, 0.7, 0.8, 0.9, 0.95]]])).arms[1].difference
    assert far is not None
    assert far.p_groups == 2 / 32
    assert far.smallest == math.inf


def test_the_level_that_swaps_can_keep() -> None:
    # 128 distinct swaps of eight groups: the second smallest p is the last below 0.05 / 3
    assert flips.attainable(8, 10_000, 0.05 / 3) == (2 / 128, pytest.approx(1.075))
    # the smallest p of five groups, 1/16, is not below 0.05; that of 39 drawn swaps, 1/40, not below itself
    assert flips.attainable(5, 10_000, 0.05) == (0, 1)
    assert flips.attainable(20, 39, 0.025) == (0, 1)
    assert flips.attainable(20, 9_999, 0.05) == (pytest.approx(0.0499), pytest.approx(1, abs=0.001))


def test_holm_by_hand() -> None:
    assert flips.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert flips.holm([0.5, 0.6]) == (1.0, 1.0)
    assert flips.holm([0.2]) == (0.2,)
    assert flips.holm([]) == ()


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_lies_between_p_and_bonferroni(p: list[float]) -> None:
    corrected = flips.holm(p)
    for one, other in itertools.permutations(range(len(p)), 2):
        assert corrected[one] <= corrected[other] or p[one] > p[other]
    assert all(raw <= held <= min(1, len(p) * raw) for raw, held in zip(p, corrected, strict=True))


def test_with_one_seed_and_plain_means_the_interval_is_students() -> None:
    values = np.random.default_rng(4).normal(0.5, 0.05, (2, 1, 30))
    apart = values[1, 0] - values[0, 0]
    expected = scipy.stats.ttest_1samp(apart, 0)
    low, high = expected.confidence_interval(0.95)
    difference = compare(plain(values), draws=40_000).arms[1].difference
    assert difference is not None
    assert (difference.interval.low, difference.interval.high) == pytest.approx((low, high), abs=0.02 * (high - low))
    assert difference.p >= difference.p_groups
    assert difference.p == pytest.approx(expected.pvalue, rel=0.1)


def test_variances_by_hand() -> None:
    drawn = np.array([[1.0, 3.0], [3.0, 5.0], [2.0, 4.0]])
    two = spread(drawn, np.array([2.0, 4.0]), 3)
    # groups: 3/2 · variance of (2, 4, 3) = 1.5; seeds: variance of (2, 4) = 2, over 2, less nothing
    assert two == Spread(1.5, 2, 1.0, 1)
    many = np.random.default_rng(0).normal(size=(50, 5))
    per_seed = np.arange(5.0)
    taken = 0.5 * 1.25 * (many - many.mean(axis=1, keepdims=True)).var(axis=0, ddof=1).sum() / 20
    assert spread(many, per_seed, 5).seeds == pytest.approx(per_seed.var(ddof=1) / 5 - taken)
    assert spread(many, np.zeros(5), 5).seeds == 0
    half = two.half(0.05)
    assert half**2 == pytest.approx(scipy.stats.t.ppf(0.975, 2) ** 2 * 1.5 + scipy.stats.t.ppf(0.975, 1) ** 2 * 1)


@settings(deadline=None)
@given(st.floats(1e-6, 1), st.floats(0, 1), st.integers(1, 40), st.integers(1, 9), st.floats(0.001, 3))
def test_p_and_interval_say_the_same(
    groups: float, seeds: float, of_groups: int, of_seeds: int, estimate: float
) -> None:
    its = Spread(groups, of_groups, seeds, of_seeds)
    p = its.p(estimate)
    assert 0 < p <= 1
    for level in (0.9, 0.95, 0.99):
        if abs(p - (1 - level)) > 1e-6:
            assert (its.interval(estimate, level).low > 0) == (p < 1 - level)
    assert its.p(-estimate) == p


def test_the_smallest_difference_is_students_where_groups_are_all() -> None:
    its = Spread(0.01**2, 400, math.nan, 0)
    # (z of 0.975 + z of 0.8) standard errors, for many degrees of freedom
    assert its.smallest(0.05) == pytest.approx(2.8016 * 0.01, rel=0.01)
    assert its.smallest(0.05 / 7) > its.smallest(0.05)


@pytest.mark.filterwarnings("error")
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 7), st.integers(1, 4))
def test_swapping_two_arms_negates_the_difference_and_keeps_p(seed: int, groups: int, seeds: int) -> None:
    of = random_evidence(np.random.default_rng(seed), seeds=seeds, groups=groups)
    there, back = (compare(of, name, draws=200).arms[at].difference for name, at in (("none", 1), ("a1", 0)))
    assert there is not None
    assert back is not None
    assert there.interval.estimate == -back.interval.estimate
    assert (there.interval.low, there.interval.high) == pytest.approx(
        (-back.interval.high, -back.interval.low), nan_ok=True
    )
    assert there.p_groups == back.p_groups
    assert there.p == pytest.approx(back.p)
    assert there.superior == pytest.approx(1 - back.superior, nan_ok=True)
    assert there.effect == pytest.approx(-back.effect, nan_ok=True)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_names_of_groups_images_and_classes_change_nothing(seed: int) -> None:
    of = random_evidence(np.random.default_rng(seed))
    renamed = evidence(of.top, of.bottom, "".join({"a": "z", "b": "q", "c": "p", "d": "0"}[g] for g in of.groups),
                       arms="none a1", there=of.there)  # fmt: skip
    assert repr(compare(of, draws=200)) == repr(compare(renamed, draws=200))


def test_the_same_seed_gives_the_same_numbers_and_another_does_not() -> None:
    of = random_evidence(np.random.default_rng(1), groups=6)
    assert repr(compare(of)) == repr(compare(of, seed=0)) != repr(compare(of, seed=1))
