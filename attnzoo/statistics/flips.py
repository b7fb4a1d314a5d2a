"""The paired permutation test over groups, and Holm's correction.

If two arms do not differ, nothing changes when they swap all that they did to a patient. A permutation swaps whole
groups, all seeds of a group together, and recomputes the difference of the macro scores: no mean of images' scores, but
the score that is reported.
"""

import math
from collections.abc import Sequence

import numpy as np

from attnzoo.statistics.sums import Floats, Sums, macro, present

_PIECE = 2_000_000  # numbers at once


def exact(groups: int, permutations: int) -> bool:
    """Whether all patterns of swaps are counted instead of drawn: a pattern and its opposite are one."""
    return groups - 1 <= permutations.bit_length() and 1 << (groups - 1) <= permutations


def patterns(groups: int, permutations: int, random: np.random.Generator) -> Floats:
    """Which groups swap, (P, G) of 0 and 1: all with the first group in place if they are few, else drawn."""
    if exact(groups, permutations):
        numbers = np.arange(2 ** (groups - 1))[:, None]
        return (numbers >> np.arange(groups - 1, -1, -1) & 1).astype(np.float64)
    return random.integers(0, 2, size=(permutations, groups)).astype(np.float64)


def least(groups: int, permutations: int) -> float:
    """The smallest p that the test can give."""
    return 2.0 ** (1 - groups) if exact(groups, permutations) else 1 / (1 + permutations)


def attainable(groups: int, permutations: int, alpha: float) -> tuple[float, float]:
    """The largest p below a level that the test can give, 0 if there is none; and how much more shift that asks for.

    With r possible p-values below the level, groups must agree better than a t test asks: by 1 + 0.15/r in simulations
    of 6 to 12 normal groups.
    """
    step = least(groups, permutations)
    below = math.ceil(alpha / step - 1e-9) - 1
    return (below * step, 1 + 0.15 / below) if below > 0 else (0.0, 1.0)


def swapped(sums: Sums, arm: int, other: int, swaps: Floats) -> Floats:
    """The difference arm − other, mean over seeds, under each pattern of swaps: (P,)."""
    both = [arm, other]
    there = present(sums.there)
    groups = len(sums.names)
    values = np.stack([sums.top[both], sums.bottom[both]])  # (2, 2 arms, S, G, K)
    total = values.sum(axis=3)  # (2, 2 arms, S, K)
    change = np.moveaxis(values[:, 1] - values[:, 0], 2, 0).reshape(groups, -1)  # what the arm gains by a swap
    found = []
    for start in range(0, len(swaps), piece := max(1, _PIECE // change.shape[1])):
        moved = (swaps[start : start + piece] @ change).reshape(-1, *total[:, 0].shape)  # (P, 2, S, K)
        # counts stay whole numbers; of distances, rounding may leave less than nothing
        tops, bottoms = (
            np.maximum(np.stack([total[i, 0] + moved[:, i], total[i, 1] - moved[:, i]], axis=1), 0) for i in (0, 1)
        )
        score = macro(tops, bottoms, there, sums.higher_is_better).mean(axis=-1)  # (P, 2 arms)
        found.append(score[:, 0] - score[:, 1])
    return np.concatenate(found)


def p_value(statistic: Floats, observed: float, groups: int, permutations: int) -> float:
    """Two-sided: the share of swaps that differ as much; of drawn ones with the data themselves counted once."""
    as_much = np.abs(statistic) >= abs(observed) * (1 - 1e-9) - 1e-12  # equal but for rounding is equal
    # a swap that leaves no score to compare says nothing against chance
    hits = int((as_much | np.isnan(statistic)).sum())
    return hits / len(statistic) if exact(groups, permutations) else (1 + hits) / (1 + len(statistic))


def holm(p: Sequence[float]) -> tuple[float, ...]:
    """Holm's correction: the k-th smallest of m times m − k + 1, never below a smaller one's, at most 1."""
    corrected = [0.0] * len(p)
    running = 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        running = max(running, min(1.0, (len(p) - rank) * p[index]))
        corrected[index] = running
    return tuple(corrected)
