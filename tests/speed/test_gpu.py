"""`benchmarks/gpu.py` at tiny sizes on the CPU: it works, and leaves nothing out without a word."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
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


def test_without_a_gpu_it_says_so() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", "--device", "cuda:99"],
        cwd=ROOT, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "`cuda:99` is not there" in done.stderr
