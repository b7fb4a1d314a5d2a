"""What is added to a module, with `latency` told: who is timed with whom, and that no column contradicts another."""

from collections.abc import Mapping
from typing import Any

import pytest
from torch import nn

from attnzoo.errors import AttnzooError
from attnzoo.measure import Latency, Spread, Subject, overhead
from attnzoo.measure.latency import Call

SHAPES = ((2, 4, 4),)
NOISE = {"none": Spread(40, 43, 50), "a": Spread(90, 106, 110), "b": Spread(20, 21, 22)}


class Recorder:
    """In place of `latency`: milliseconds of a machine that drifts between the calls, and ratios that it leaves."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def __call__(self, calls: Mapping[str, Call], **options: Any) -> dict[str, Latency]:
        self.asked.append(list(calls))
        for call in calls.values():
            call()
        first = next(iter(calls))
        return {
            name: Latency(NOISE[name], Spread(1, 1, 1) if name == first else Spread(1.25, 1.5, 2.0), 10, 4, True)
            for name in calls
        }


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr(overhead, "latency", recorder)
    return recorder


def measured() -> list[dict[str, Any]]:
    def build(width: int) -> Subject:
        return Subject(nn.Sequential(nn.Conv2d(2, width, 1), nn.Conv2d(width, 2, 1)), SHAPES)

    def refuse(name: str, error: AttnzooError) -> None:
        raise error

    host = "none", Subject(nn.Conv2d(2, 2, 1), SHAPES)
    others = [("a", lambda: build(2)), ("b", lambda: build(3))]
    return list(overhead.overheads(host, others, device="cpu", refuse=refuse))


def test_each_is_timed_in_turns_with_the_reference_first(recorder: Recorder) -> None:
    rows = measured()
    assert recorder.asked == [["none"], ["none", "a"], ["none", "b"]]
    assert [row["relative"]["latency"]["median"] for row in rows] == [1, 1.5, 1.5]
    assert [row["method"]["order"] for row in rows] == ["alone", *["in turns (ABBA) with none"] * 2]


@pytest.mark.usefixtures("recorder")
def test_milliseconds_are_the_reference_s_times_the_ratio() -> None:
    first, *rows = measured()
    assert first["latency_ms"] == {"p10": 40, "median": 43, "p90": 50}
    assert first["fps"] == 1000 / 43
    for row in rows:
        assert row["latency_ms"] == {"p10": 43 * 1.25, "median": 43 * 1.5, "p90": 43 * 2.0}
        assert row["fps"] == 1000 / row["latency_ms"]["median"]
        assert row["method"]["latency_ms"] == "median of none, timed alone, × the paired ratio"
    assert rows[0]["method"]["in_turns_ms"] == {
        "none": {"p10": 40, "median": 43, "p90": 50},
        "a": {"p10": 90, "median": 106, "p90": 110},
    }
