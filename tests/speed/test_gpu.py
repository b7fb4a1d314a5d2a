"""`benchmarks/gpu.py` at tiny sizes on the CPU: it works, and leaves nothing out without a word."""

from collections.abc import Callable
from typing import Any

# what the table of targets asks for, by the beginning of a row's name or of what is left out
WANTED = (
    "correct",
    "equal inputs",
    "copy",
    "FPS with EMA",
    "FPS under CUDA graphs",
    "EMA forward: authors / ours",
    "EMA forward: authors compiled / ours",
    "EMA forward under CUDA graphs, and against the copy",
    "EMA forward + backward",
    "EMA peak memory",
    "training step",
    "masks/s",
    "images/s",
    "Triton's kernels",
)


def test_every_row_is_measured_or_left_out_with_its_reason(quick: Callable[..., dict[str, Any]]) -> None:
    found = quick("gpu", "--device", "cpu")
    left_out = {one["what"]: one["why"] for one in found["left_out"]}
    names = [*(row["row"] for row in found["rows"]), *left_out]
    assert [wanted for wanted in WANTED if not any(name.startswith(wanted) for name in names)] == []
    # nothing failed: these are what the CPU cannot have
    assert set(left_out) == {
        "Triton's kernels", "FPS under CUDA graphs", "EMA forward under CUDA graphs, and against the copy"
    }  # fmt: skip
    assert all(row["value"] > 0 and row["met"] is None for row in found["rows"])  # tiny sizes meet no target
    errors = [row["value"] for row in found["rows"] if row["row"].startswith("correct")]
    assert max(errors) <= 4
    assert {"machine", "method", "kernels", "seconds"} <= set(found)
    assert {"torch", "triton", "python"} <= set(found["machine"]["versions"])


def test_a_loader_without_a_step_says_what_it_is_not_compared_with(quick: Callable[..., dict[str, Any]]) -> None:
    found = quick("gpu", "--device", "cpu", "--only", "loader")
    assert [row["row"] for row in found["rows"]] == ["masks/s: cache / annToMask loop", "images/s: loader"]
    assert found["left_out"][1:] == [
        {"what": "images/s: loader / training step", "why": "no step was timed: `--only step loader` does both"}
    ]
