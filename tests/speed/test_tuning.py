"""`benchmarks.tuning`: constants come back, what is wrong or fails is not fast, and a candidate is another launch."""

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from attnzoo.measure.latency import Call, Latency, Spread

pytest.importorskip("triton", reason="needs Triton, which comes with torch on Linux")

Plants = dict[str, Callable[[dict[str, Tensor]], object]]
HALF, TWICE = "applying.HELD=1024", "applying.HELD=4096"

# the script in the interpreter, which is too slow to be timed
INTERPRETED = """
import sys
from attnzoo.measure.latency import Latency, Spread
from benchmarks import tuning
from benchmarks.on_gpu.session import Session
Session.timed = lambda self, calls, **_: {name: Latency(*[Spread(1.0, 1.0, 1.0)] * 2, 1, 1, True) for name in calls}
sys.exit(tuning.main())
"""


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """It makes every call once, and says that each takes a tenth of a millisecond less than the one before."""
    from benchmarks.on_gpu import session

    def timed(self: object, calls: Mapping[str, Call]) -> dict[str, Latency]:
        found = {}
        for number, (name, call) in enumerate(calls.items()):
            call()
            said = Spread(*(round(middle - number / 10, 1) for middle in (2.9, 3.0, 3.1)))
            found[name] = Latency(said, said, 1, 1, True)
        return found

    monkeypatch.setattr(session.Session, "timed", timed)
    return session.Session(torch.device("cpu"), True, tmp_path / "tuning.json", math.inf)


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Plants:
    """Kernels start nothing, and find what the readable form does, but for what is planted at constants' values."""
    from attnzoo.kernels.triton import tiles
    from attnzoo.kernels.triton.launching import Launch
    from benchmarks.on_gpu import constants, passes
    from benchmarks.on_gpu.correctness import with_gradients

    plants: Plants = {}
    small = passes.Map(4, 64, 2, torch.float32, "contiguous", groups=2)

    def take(block: Any, x: Tensor, grad: Tensor, changes: Mapping[str, int], *start: Any) -> passes.Taken:
        taken = passes.take(block, x, grad, changes, passes.only_note)
        if start:
            return taken
        names = ("out", "x", *(name for name, _ in block.named_parameters()))
        found = dict(zip(names, with_gradients(block, x, grad, readable=True), strict=True))
        with passes.changed(changes):
            plants.get("+".join(f"{name}={value}" for name, value in changes.items()), len)(found)
        return passes.Taken(taken.passes, found)

    monkeypatch.setattr(Launch, "__call__", lambda self, *tensors: None)
    monkeypatch.setattr(tiles, "PROGRAMS", 4)
    monkeypatch.setattr(constants, "take", take)
    monkeypatch.setattr(constants, "maps", lambda session, batch: [small, small._replace(layout="channels_last")])
    return plants


def fails(found: object) -> None:
    raise RuntimeError("out of resource: shared memory")


def every_constant() -> dict[str, int]:
    from benchmarks.on_gpu import constants, passes

    return {name: passes.constant(name) for together in constants.CONSTANTS for name in together.split("+")}


def test_constants_come_back_and_nothing_that_was_prepared_outlives_them() -> None:
    from attnzoo.kernels.triton import outputs, tiles
    from benchmarks.on_gpu import passes

    before = every_constant()
    given = passes.Map(4, 8, 1, torch.float32, "contiguous", groups=2).drawn("meta")
    met = []

    def start(*_: object) -> None:
        met.append((tiles.WARPS, outputs.prepared.cache_info().currsize))
        if len(met) == 3:
            raise KeyError

    with pytest.raises(KeyError):
        passes.take(*given, {"tiles.WARPS": 8}, start)
    assert met == [(8, 1)] * 3
    with pytest.raises(AttributeError), passes.changed({"tiles.WARPS": 8, "tiles.NONE": 1}):
        pass
    assert every_constant() == before
    assert outputs.prepared.cache_info().currsize == 0


def test_what_is_wrong_or_fails_is_said_and_not_timed(session: Any, planted: Plants) -> None:
    from benchmarks.on_gpu import constants

    before = every_constant()
    planted[HALF] = lambda found: found["out"].mul_(1.001)
    planted[TWICE] = fails
    constants.best(session, lambda jobs: None, 16)
    assert every_constant() == before
    first, *others = session.rows
    assert first["row"] == "apply / now"
    assert next(iter(first["ratio"])) == "now"
    assert first["best"] == list(first["ratio"])[-1] == "applying.HELD=4096+tiles.WARPS=8"
    assert first["ratio"].keys().isdisjoint({HALF, TWICE})
    assert first["refused"] == {
        HALF: "wrong: out is off by 1.0e-03, and may be by 1.9e-06",
        TWICE: "failed: RuntimeError: out of resource: shared memory",
    }
    rest = [row["row"] for row in others if row["at"] == first["at"]]
    assert rest == [f"{name} / now" for name in constants.ORDER[1:]]
    assert "4@64², batch 2, float32, channels_last" in {row["at"] for row in others}


def test_nothing_is_compared_with_constants_that_do_not_serve(session: Any, planted: Plants) -> None:
    from benchmarks.on_gpu import constants

    planted[""] = fails
    constants.best(session, lambda jobs: None, 16)
    assert session.rows == []
    assert session.left_out[0] == {
        "what": "apply / now, 4@64², batch 2, float32, contiguous",
        "why": "failed: RuntimeError: out of resource: shared memory",
    }


def test_what_there_was_no_time_for_is_named(session: Any, planted: Plants, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.on_gpu import constants

    timed = type(session).timed

    def last(self: Any, calls: Mapping[str, Call]) -> dict[str, Latency]:
        session.deadline = -math.inf
        return dict(timed(self, calls))

    monkeypatch.setattr(type(session), "timed", last)
    constants.best(session, lambda jobs: None, 16)
    assert [row["row"] for row in session.rows] == ["apply / now"]
    at, other = "4@64², batch 2, float32, contiguous", "4@64², batch 2, float32, channels_last"
    assert session.left_out == [
        {"what": f"constants, {at}", "why": f"the time was over before {'; '.join(constants.ORDER[1:])}"},
        {"what": "constants, batch 16", "why": f"the time was over before {other}"},
    ]
    constants.where(session, lambda jobs: None, 16)
    assert session.left_out[-1] == {"what": "passes, batch 16", "why": f"the time was over before {at}; {other}"}


def test_the_table_says_where_the_time_goes_and_what_is_best(session: Any, planted: Plants) -> None:
    from benchmarks import tuning
    from benchmarks.on_gpu import constants

    planted[TWICE] = fails
    constants.where(session, lambda jobs: None, 16)
    at = "4@64², batch 2, float32, contiguous"

    def lines() -> list[list[str]]:
        return [re.split("  +", line) for line in tuning.table(session.rows).splitlines()]

    assert lines()[0] == ["pass", "map", "x copy", "at least", "best", "x now", "p10-p90", "refused"]
    assert lines()[1] == ["strips", at, "2.90", "0.50", "-", "-", "-", "-"]
    constants.best(session, lambda jobs: None, 16)
    fastest = "applying.HELD=4096+tiles.WARPS=8"
    assert ["apply", at, "2.50", "1.00", fastest, "2.400", "2.300-2.500", f"{TWICE} failed"] in lines()


@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
def test_candidates_are_other_launches(layout: str) -> None:
    from benchmarks.on_gpu import constants, passes

    given = passes.Map(64, 256, 16, torch.float32, layout).drawn("meta")
    now = passes.take(*given, {}, passes.only_note).passes
    assert now.keys() - {"close"} <= set(constants.ORDER)
    deep = "applying.DEEP" if layout == "contiguous" else "channels_last.DEEP"
    for name in ("apply", "press"):
        many = passes.take(*given, {deep: 2}, passes.only_note).passes[name].launch
        assert (now[name].launch.numbers[-1], many.numbers[-1]) == (8, 2)
        assert many.grid[0] == 4 * now[name].launch.grid[0]
    wide = passes.take(*given, {"tiles.WARPS": 8}, passes.only_note).passes["strips"].launch
    assert (now["strips"].launch.options["num_warps"], wide.options["num_warps"]) == (4, 8)


def test_no_constant_is_without_effect() -> None:
    from benchmarks.on_gpu import constants, passes

    met = set()
    for size, batch in (((64, 256), 16), ((128, 128), 1), ((512, 32), 16)):
        for layout in ("contiguous", "channels_last"):
            at = passes.Map(*size, batch, torch.float32, layout)
            met |= {said for some in constants.plan(at).values() for said in some}
    # a map of the model has no more columns than that
    assert constants.candidates().keys() - met == {"applying.COLUMNS=512"}


def test_the_whole_in_the_interpreter(tmp_path: Path) -> None:
    options = ["--device", "cpu", "--quick", "--out", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", INTERPRETED, *options],
        env=os.environ | {"TRITON_INTERPRET": "1"}, cwd=Path(__file__).parents[2], capture_output=True, text=True,
        timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.iterdir()
    assert file.name.startswith("tuning-cpu-")
    assert file.stem.endswith("-quick")
    found = json.loads(file.read_text(encoding="utf-8"))
    assert {"schema", "commit", "machine", "method", "kernels", "seconds"} <= found.keys()
    assert found["left_out"] == []
    beside = {row["row"].removesuffix(" / copy"): row for row in found["rows"] if row["row"].endswith(" / copy")}
    swept = {row["row"].removesuffix(" / now"): row for row in found["rows"] if row["row"].endswith(" / now")}
    assert beside.keys() - swept.keys() == {"close", "five launches"}
    assert [beside[name]["least"] for name in ("strips", "apply", "press", "spread")] == [0.5, 1, 1.5, 2]
    assert all(row["refused"] == {} for row in swept.values())  # all are right
    assert any(len(row["ratio"]) > 1 for row in swept.values())
    assert done.stdout.splitlines()[-1] == str(file)
