"""All that is drawn once and shared by every pair of arms: the same groups and the same swaps for all."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from attnzoo.statistics import flips
from attnzoo.statistics.evidence import Evidence
from attnzoo.statistics.records import Interval
from attnzoo.statistics.spread import Spread, spread
from attnzoo.statistics.sums import Floats, Sums, by_group, drawn_scores, scores, scores_per_group


@dataclass(frozen=True, eq=False)
class Study:
    """Scores (A, S), of each group alone (G, A, S), of drawn groups (draws, A, S), and patterns of swaps (P, G)."""

    evidence: Evidence
    sums: Sums
    scores: Floats
    per_group: Floats
    drawn: Floats
    swaps: Floats
    permutations: int

    @cached_property
    def groups(self) -> int:
        """Groups with ground truth: those that scores rest on."""
        return int(self.sums.there.any(axis=1).sum())

    @cached_property
    def weight(self) -> float:
        """How many groups of equal size would weigh as much as these do; at least 2 where there are two."""
        sizes = self.sums.bottom.mean(axis=(0, 1))
        shares = (sizes / np.maximum(sizes.sum(axis=0), 1e-300)).mean(axis=1)  # of each class's sums, over classes
        return min(float(self.groups), max(2.0, 1 / max(float((shares**2).sum()), 1e-300)))


@dataclass(frozen=True)
class Pair:
    """One arm less another: numbers without a verdict."""

    estimate: float
    per_seed: tuple[float, ...]
    spread: Spread
    effect: float
    superior: float
    p_groups: float
    p: float

    def interval(self, level: float) -> Interval:
        return self.spread.interval(self.estimate, level)


def study(evidence: Evidence, draws: int, permutations: int, seed: int) -> Study:
    """Add up, score and draw."""
    sums = by_group(evidence)
    random = np.random.Generator(np.random.PCG64(seed))
    drawn = drawn_scores(sums, draws, random)
    swaps = flips.patterns(len(sums.names), permutations, random)
    return Study(evidence, sums, scores(sums), scores_per_group(sums), drawn, swaps, permutations)


def score(of: Study, arm: int, level: float) -> Interval:
    """An arm's score with its interval, which stays within what a score can be."""
    its = spread(of.drawn[:, arm], of.scores[arm], of.weight)
    return its.interval(float(of.scores[arm].mean()), level, (0.0, of.evidence.largest))


def pair(of: Study, arm: int, other: int) -> Pair:
    """Two arms of a study, paired by group and seed."""
    per_seed = of.scores[arm] - of.scores[other]
    estimate = float(of.scores[arm].mean() - of.scores[other].mean())
    its = spread(of.drawn[:, arm] - of.drawn[:, other], per_seed, of.weight)
    statistic = flips.swapped(of.sums, arm, other, of.swaps)
    p_groups = flips.p_value(statistic, estimate, len(of.sums.names), of.permutations)
    apart = (of.per_group[:, arm] - of.per_group[:, other]).mean(axis=-1)
    apart = apart[np.isfinite(apart)]
    # chance in the choice of groups and chance in training are both to be ruled out: the larger p does it
    p = max(p_groups, its.p(estimate))
    effect, superior = _effect(apart), _superior(apart, of.sums.higher_is_better)
    return Pair(estimate, tuple(map(float, per_seed)), its, effect, superior, p_groups, p)


def _effect(apart: Floats) -> float:
    deviation = float(apart.std(ddof=1)) if len(apart) > 1 else 0.0
    return float(apart.mean()) / deviation if deviation > 1e-12 else math.nan


def _superior(apart: Floats, higher_is_better: bool) -> float:
    better = apart > 0 if higher_is_better else apart < 0
    return float((better + (apart == 0) / 2).mean()) if len(apart) else math.nan
