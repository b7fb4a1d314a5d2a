"""The protocol, on a clock whose time is told: no test waits, and none depends on this machine."""

from collections.abc import Callable

import pytest
import torch

from attnzoo.measure import Spread, clock_of, latency
from attnzoo.measure.latency import spread


class FakeClock:
    """Calls last as `lasting(name, calls so far)` says; what was run is written down."""

    def __init__(self, lasting: Callable[[str, int], float]) -> None:
        self.lasting = lasting
        self.windows: list[tuple[str, int]] = []
        self.calls = 0

    def __call__(self, call: Callable[[], str], times: int) -> list[float]:
        name = call()
        self.windows.append((name, times))
        taken = [self.lasting(name, self.calls + step) for step in range(times)]
        self.calls += times
        return taken


CALLS = {"a": lambda: "a", "b": lambda: "b"}


def test_a_hundred_iterations_in_turns_there_and_back() -> None:
    clock = FakeClock(lambda name, _: {"a": 10.0, "b": 20.0}[name])
    timed = latency(CALLS, clock=clock)
    rounds = clock.windows[-40:]
    assert rounds == [("a", 5), ("b", 5), ("b", 5), ("a", 5)] * 10
    assert timed["a"].iterations == timed["b"].iterations == 100
    assert timed["a"].milliseconds == Spread(10, 10, 10)
    assert timed["b"].ratio == Spread(2, 2, 2)
    assert timed["a"].ratio == Spread(1, 1, 1)
    assert timed["b"].fps == 50


def test_drift_hits_both_alike() -> None:
    # everything gets slower all the time, up to fivefold; the second program is equal to the first
    timed = latency(CALLS, clock=FakeClock(lambda _, calls: 10 + calls / 5), iterations=100)
    assert timed["b"].ratio.median == pytest.approx(1, abs=0.01)


def test_slow_calls_get_fewer_iterations_and_no_less_than_ten() -> None:
    assert latency(CALLS, clock=FakeClock(lambda *_: 500.0), seconds=20)["b"].iterations == 40
    assert latency(CALLS, clock=FakeClock(lambda *_: 60_000.0), seconds=20)["b"].iterations == 10


def test_asked_iterations_are_done() -> None:
    assert latency(CALLS, clock=FakeClock(lambda *_: 60_000.0), iterations=30)["a"].iterations == 30
    assert latency({"a": CALLS["a"]}, clock=FakeClock(lambda *_: 1.0), iterations=1)["a"].iterations == 1
    assert latency(CALLS, clock=FakeClock(lambda *_: 1.0), iterations=5)["b"].iterations == 5
    assert latency(CALLS, clock=FakeClock(lambda *_: 1.0), iterations=41)["b"].iterations == 41


def test_warms_up_until_windows_agree() -> None:
    # the first 13 calls get faster and faster
    timed = latency({"a": CALLS["a"]}, clock=FakeClock(lambda _, calls: max(100 * 0.8**calls, 6.0)))
    assert timed["a"].settled
    assert timed["a"].warmup >= 13
    assert timed["a"].milliseconds == Spread(6, 6, 6)


def test_says_when_windows_never_agreed() -> None:
    restless = latency({"a": CALLS["a"]}, clock=FakeClock(lambda _, calls: 2.0 ** (calls % 7) * (1 + calls)))
    assert not restless["a"].settled
    slow = latency({"a": CALLS["a"]}, clock=FakeClock(lambda _, calls: 9000.0 * (1 + calls)), seconds=20)
    assert not slow["a"].settled
    assert slow["a"].warmup == 6  # patience has an end


def test_percentiles() -> None:
    assert spread([3.0]) == Spread(3, 3, 3)
    assert spread([float(value) for value in range(11)]) == Spread(1, 5, 9)


def test_the_cpu_s_clock_times_every_call() -> None:
    called = []
    times = clock_of(torch.device("cpu"))(lambda: called.append(1), 7)
    assert len(called) == len(times) == 7
    assert min(times) > 0


@pytest.mark.parametrize("inference", [True, False])
def test_runs_in_inference_mode_unless_told(inference: bool) -> None:
    modes = set()
    latency(
        {"a": lambda: modes.add(torch.is_inference_mode_enabled())},
        clock=clock_of(torch.device("cpu")),
        iterations=2,
        inference=inference,
    )
    assert modes == {inference}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_gpu_s_clock_times_every_call() -> None:
    x = torch.ones(1000, 1000, device="cuda")
    times = clock_of(x.device)(lambda: x @ x, 20)
    assert len(times) == 20
    assert min(times) > 0
