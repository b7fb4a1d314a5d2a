"""`benchmarks/cpu.py` at tiny sizes: every row of the table is there."""

from collections.abc import Callable
from typing import Any


def test_every_row_is_measured(quick: Callable[..., dict[str, Any]]) -> None:
    found = quick("cpu")
    assert found["left_out"] == []
    assert [(row["row"], row["value"] > 0) for row in found["rows"]] == [
        ("EMA forward: authors / ours", True),
        ("EMA forward + backward: authors / ours", True),
        ("EMA forward: authors / ours compiled", True),
        ("EMA forward + backward: authors / ours compiled", True),
        ("EMA forward, peak memory: ours / authors", True),
        ("EMA forward + backward, peak memory: ours / authors", True),
        ("masks/s: cache / annToMask loop", True),
        ("images/s: loader", True),
    ]
    assert {"p10", "median", "p90"} == set(found["rows"][0]["ratio"]["authors"])
    assert {"machine", "method", "seconds"} <= set(found)
