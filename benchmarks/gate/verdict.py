"""Whether head is slower than base: rounds A B B A, a ratio each, and a bound on their median that noise respects.

The bound is the sign test's: of independent rounds, each lies above the true median with probability one half, whatever
the shape of the noise. It is asked at four numbers of rounds, so a quiet comparison ends after twelve.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

BAR = 1.10
LOOKS = (12, 24, 48, 96)
ALPHA = 0.001  # for each look, both sides together: a gate asks more than a hundred benchmarks
WINDOW_S = 0.02  # of one side, in a round twice
SAMPLE_S = 1e-4  # a clock read around less would measure the clock

Window = Callable[[int, int], list[float]]
"""Times samples of so many repeated calls: seconds of a call, for each sample."""


@dataclass(frozen=True)
class Verdict:
    """Head's time over base's: the median over rounds, and its bounds.

    Attributes:
        decided: Whether the bounds lie on one side of the bar; else the median alone has the word.
    """

    ratio: float
    low: float
    high: float
    rounds: int
    decided: bool

    @property
    def slower(self) -> bool:
        """By ten per cent or more."""
        return self.ratio >= BAR

    @property
    def faster(self) -> bool:
        """By ten per cent or more, and surely."""
        return self.high <= 1 / BAR


def compare(
    base: Window,
    head: Window,
    seconds: float,
    *,
    head_first: bool = False,
    bar: float = BAR,
    looks: Sequence[int] = LOOKS,
) -> Verdict:
    """Time both until the bounds are on one side of the bar, or the rounds are over.

    Args:
        base, head: Each is given the number of samples, and of calls in a sample.
        seconds: A call takes about as long.
        head_first: Rounds begin and end with head.
        bar: What the bounds are held against.
        looks: After how many rounds; the last is the end.
    """
    repeat = max(1, math.ceil(SAMPLE_S / seconds))
    samples = max(1, round(WINDOW_S / (repeat * seconds)))
    ratios: list[float] = []
    for look in looks:
        while len(ratios) < look:
            ratios.append(_round(base, head, samples, repeat, head_first))
        low, high = bounds(ratios)
        if low > bar or high < bar:
            break
    return Verdict(median(ratios), low, high, len(ratios), low > bar or high < bar)


def bounds(values: Sequence[float]) -> tuple[float, float]:
    """Where the median of what they were drawn from lies, but for a chance of `ALPHA`: two of the values themselves."""
    ordered, count = sorted(values), len(values)
    tail, rank = 0.0, 0
    while 2 * (tail + math.comb(count, rank) / 2**count) <= ALPHA:
        tail += math.comb(count, rank) / 2**count
        rank += 1
    return (ordered[rank - 1], ordered[-rank]) if rank else (0.0, math.inf)


def _round(base: Window, head: Window, samples: int, repeat: int, head_first: bool) -> float:
    """Outside, inside, inside, outside: what drifts evenly hits both alike."""
    outer, inner = (head, base) if head_first else (base, head)
    before, within = outer(samples, repeat), inner(samples, repeat)
    within = within + inner(samples, repeat)
    ratio = median(within) / median(before + outer(samples, repeat))
    return 1 / ratio if head_first else ratio
