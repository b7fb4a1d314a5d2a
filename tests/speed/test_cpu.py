"""`benchmarks/cpu.py` at tiny sizes: every row of the table is there."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_every_row_is_measured(quick: Callable[..., dict[str, Any]]) -> None:
    found = quick("cpu")
    left_out = [one["what"] for one in found["left_out"]]
    assert left_out in ([], ["pages kept"])  # the latter where the C library is not glibc
    timed = [
        "EMA forward: authors / ours",
        "EMA forward: authors / ours compiled",
        "EMA forward + backward: authors / ours compiled",
        "EMA forward + backward: authors / ours",
    ]
    assert [row["row"] for row in found["rows"]] == [
        *timed,
        "EMA forward, peak memory: ours / authors",
        "EMA forward + backward, peak memory: ours / authors",
        "masks/s: cache / annToMask loop",
        "images/s: loader",
        *([] if left_out else timed),
    ]
    assert all(row["value"] > 0 for row in found["rows"])
    assert ["pages kept" in row["at"] for row in found["rows"]] == 8 * [False] + (0 if left_out else 4) * [True]
    assert {"p10", "median", "p90"} == set(found["rows"][0]["ratio"]["authors"])
    assert {"machine", "method", "seconds"} <= set(found)


def test_a_c_library_that_cannot_keep_pages_leaves_the_rows_out(
    benchmarks_package: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks import cpu
    from benchmarks.on_gpu.session import Session

    monkeypatch.setattr(cpu.ctypes, "CDLL", lambda name: object())
    session = Session(cpu.CPU, True, tmp_path / "cpu.json", math.inf)
    cpu.pages_kept(session)
    assert session.rows == []
    assert session.left_out == [{"what": "pages kept", "why": "the C library has no `mallopt`, or refuses"}]
