"""How long a call takes: warmed up until windows agree, then timed in turns with the calls it is compared to.

Run one after the other, two equal programs differ by a third on a noisy machine; in turns, A B B A, drift hits both
alike and the median of paired ratios tells them apart by a few per cent.
"""

import gc
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from statistics import median, quantiles
from typing import Protocol

import torch

Call = Callable[[], object]

WARM_WINDOWS = 12  # at most; two neighbours whose medians differ by less than 5 % end the warming up
AGREE = 0.05
FEWEST = 10  # iterations that even a slow call gets


class Clock(Protocol):
    """Runs a call some times and returns the milliseconds of each."""

    def __call__(self, call: Call, times: int) -> list[float]: ...


@dataclass(frozen=True)
class Spread:
    """The 10th percentile, median and 90th percentile."""

    p10: float
    median: float
    p90: float


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one call.

    Attributes:
        milliseconds: Over all iterations.
        ratio: To the first call that was timed with it: over rounds, a paired ratio each.
        iterations: How often it was timed.
        warmup: How often it ran before.
        settled: Whether the windows of the warming up agreed at last.
    """

    milliseconds: Spread
    ratio: Spread
    iterations: int
    warmup: int
    settled: bool

    @property
    def fps(self) -> float:
        """Calls per second: 1 / median latency."""
        return 1000 / self.milliseconds.median


def latency(
    calls: Mapping[str, Call],
    *,
    clock: Clock,
    iterations: int | None = None,
    seconds: float = 20.0,
    inference: bool = True,
) -> dict[str, Latency]:
    """Time calls in turns, in one process.

    Args:
        calls: By name; the first is the one that others are compared to.
        clock: `clock_of(device)`.
        iterations: For each call; without it 100, or as many as `seconds` allow, but at least ten.
        seconds: Time for each call; warming up takes at most half as long again, or two windows.
        inference: Whether to run in inference mode; not for training steps.
    """
    with torch.inference_mode(inference), _undisturbed():
        warmings = {name: _warm_up(call, clock, seconds * 500) for name, call in calls.items()}
        if iterations is None:
            expected = sum(milliseconds for milliseconds, _, _ in warmings.values()) / len(calls)
            iterations = max(FEWEST, min(100, int(seconds * 1000 / expected)))
        times, ratios = _in_turns(calls, clock, iterations)
    return {
        name: Latency(spread(times[name]), spread(ratios[name]), len(times[name]), warmup, settled)
        for name, (_, warmup, settled) in warmings.items()
    }


def spread(values: Sequence[float]) -> Spread:
    """10th percentile, median, 90th percentile; of one value, that value thrice."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    tenths = quantiles(values, n=10, method="inclusive")
    return Spread(tenths[0], median(values), tenths[-1])


def clock_of(device: torch.device) -> Clock:
    """CUDA events for GPUs, the monotonic clock for the CPU."""
    return _cuda_clock if device.type == "cuda" else _cpu_clock


def _warm_up(call: Call, clock: Clock, patience: float) -> tuple[float, int, bool]:
    """Run until two windows agree, or `patience` milliseconds are over.

    Returns the last window's milliseconds, how often the call ran, and whether the windows agreed.
    """
    clock(call, 1)  # compiles, plans and allocates
    first = clock(call, 1)[0]
    window = max(2, min(10, int(100 / max(first, 0.01))))  # a tenth of a second, or two calls
    now, spent = math.inf, first
    for windows in range(1, WARM_WINDOWS + 1):
        before, times = now, clock(call, window)
        now, spent = median(times), spent + sum(times)
        if abs(now - before) <= AGREE * min(now, before):
            return now, 2 + windows * window, True
        if windows > 1 and spent > patience:
            break
    return now, 2 + windows * window, False


def _in_turns(
    calls: Mapping[str, Call], clock: Clock, iterations: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """All calls there and back again, round by round: times of each, and a ratio to the first for each round."""
    names = list(calls)
    window = max(1, iterations // 20)
    times: dict[str, list[float]] = {name: [] for name in names}
    ratios: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(math.ceil(iterations / (2 * window))):
        this_round: dict[str, list[float]] = {name: [] for name in names}
        for name in (*names, *reversed(names)):
            this_round[name] += clock(calls[name], window)
        for name in names:
            times[name] += this_round[name]
            ratios[name].append(median(this_round[name]) / median(this_round[names[0]]))
    return {name: taken[:iterations] for name, taken in times.items()}, ratios  # the last way back may go beyond


def _cpu_clock(call: Call, times: int) -> list[float]:
    taken: list[float] = []
    for _ in range(times):
        start = time.perf_counter_ns()
        call()
        taken.append((time.perf_counter_ns() - start) / 1e6)
    return taken


def _cuda_clock(call: Call, times: int) -> list[float]:
    """Two events around each call, and one synchronisation at the end."""
    event = partial(torch.cuda.Event, enable_timing=True)
    pairs = [(event(), event()) for _ in range(times)]
    for start, end in pairs:
        start.record()
        call()
        end.record()
    torch.cuda.synchronize()
    return [start.elapsed_time(end) for start, end in pairs]


@contextmanager
def _undisturbed() -> Iterator[None]:
    """No garbage is collected in the middle of a measurement."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
