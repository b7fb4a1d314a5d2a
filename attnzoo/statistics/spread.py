"""How far an estimate may be off: intervals, their test and their power, from two variances.

A mean over groups and seeds varies because other groups could have been tested and because other seeds could have been
trained. The variance due to groups is that of bootstrap draws of whole groups; the variance due to seeds needs no
draws, for drawing seeds with replacement would only approach it: that of the S seeds' own estimates, over S.

    V_groups = G' / (G' - 1) · Var over draws of the mean over seeds
    V_seeds  = Var over seeds / S - c · V_both, at least 0, c = max(0, (S - 3) / (S - 1))

G' is how many groups of equal size would weigh as much (Kish): (Σ w)² / Σ w² for each group's share w of the sums below
the line. Where a few patients hold most of the pixels, twenty weigh as five, and know as little.

V_both is the groups' liking for single seeds, over S·G: it stands in both variances and is to be counted once. Its
share of the seeds' variance is overestimated by few seeds: (S - 3) / (S - 1) makes the expected share right (an inverse
χ²), and up to three seeds nothing is taken off.

Few seeds: a percentile bootstrap over three seeds is far too narrow, and a t interval with Satterthwaite's degrees of
freedom covers 88 % in place of 95 % at two seeds that differ much. Each variance gets its own t quantile instead,

    half-width² = t(S - 1)² · V_seeds + t(G' - 1)² · V_groups,

which covers at least nominally whatever the two variances are (Banerjee, Sankhyā 22, 1960).
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from attnzoo.statistics.records import Interval
from attnzoo.statistics.sums import Floats

POWER = 0.8
_TINY = 1e-12


@dataclass(frozen=True)
class Spread:
    """Variances of an estimate by source, with their degrees of freedom. Without seeds' freedom, groups are all."""

    groups: float
    groups_freedom: float
    seeds: float
    seeds_freedom: float

    @property
    def known(self) -> bool:
        """Whether there is an interval at all: two groups are needed."""
        return self.groups_freedom > 0

    def half(self, alpha: float) -> float:
        """Half the width of the two-sided interval of level 1 − alpha."""
        return math.sqrt(sum(_quantile(freedom, alpha) ** 2 * variance for variance, freedom in self._parts()))

    def interval(self, estimate: float, level: float, bounds: tuple[float, float] = (-math.inf, math.inf)) -> Interval:
        """The interval around an estimate, within what is possible; NaN where there is none."""
        if not self.known:
            return Interval(estimate, math.nan, math.nan)
        half = self.half(1 - level)
        return Interval(estimate, max(estimate - half, bounds[0]), min(estimate + half, bounds[1]))

    def p(self, estimate: float) -> float:
        """The interval's own test: 1 − the level of the widest interval that does not reach 0."""
        if not self.known or estimate == 0:
            return 1.0
        if self.half(_TINY) <= abs(estimate):
            return _TINY

        def reach(logarithm: float) -> float:
            return self.half(math.exp(logarithm)) - abs(estimate)

        return float(math.exp(optimize.brentq(reach, math.log(_TINY), 0.0, xtol=1e-9)))

    def smallest(self, alpha: float, stretch: float = 1.0) -> float:
        """The true difference that an equal experiment finds at level alpha in 80 of 100 cases, as a median estimate.

        For each variance, the shift of a t statistic which passes its quantile so often (the non-central t), and the
        variance at the middle of its distribution (χ² over freedom), since few seeds mostly underestimate it. `stretch`
        is what the permutation test needs more of the groups' shift.
        """
        if not self.known:
            return math.nan
        return math.sqrt(
            sum(
                (factor * float(special.nctdtrinc(freedom, 1 - POWER, _quantile(freedom, alpha)))) ** 2
                * (variance * freedom / float(special.chdtri(freedom, 0.5)))
                for (variance, freedom), factor in zip(self._parts(), (stretch, 1.0), strict=False)
            )
        )

    def _parts(self) -> list[tuple[float, float]]:
        parts = ((self.groups, self.groups_freedom), (self.seeds, self.seeds_freedom))
        return [(variance, freedom) for variance, freedom in parts if freedom > 0]


def spread(drawn: Floats, per_seed: Floats, groups: float) -> Spread:
    """The spread of a mean over seeds.

    Args:
        drawn: Estimates when groups are drawn, (draws, S).
        per_seed: The estimates themselves, (S,).
        groups: How many of equal size would weigh as much, at least 2; with fewer, nothing is known.
    """
    seeds = len(per_seed)
    if groups < 2 or len(drawn) < 2:
        return Spread(math.nan, 0, math.nan, 0)
    unbiased = groups / (groups - 1)
    mean = drawn.mean(axis=1)
    of_groups = unbiased * float(mean.var(ddof=1))
    if seeds < 2:
        return Spread(of_groups, groups - 1, math.nan, 0)
    both = unbiased * float((drawn - mean[:, None]).var(axis=0, ddof=1).sum()) / (seeds * (seeds - 1))
    of_seeds = float(np.var(per_seed, ddof=1)) / seeds - max(0.0, (seeds - 3) / (seeds - 1)) * both
    return Spread(of_groups, groups - 1, max(of_seeds, 0.0), seeds - 1)


def _quantile(freedom: float, alpha: float) -> float:
    return -float(special.stdtrit(freedom, alpha / 2))
