"""EMA's Triton kernels: the cases in `triton/`, and what is true without a GPU and without Triton.

Triton decides when it is imported whether kernels are interpreted, so the cases run in a process of their own.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

CASES = Path(__file__).parent / "triton"

needs_triton = pytest.mark.skipif(
    subprocess.run([sys.executable, "-c", "import triton"], capture_output=True, check=False).returncode != 0,
    reason="needs Triton, which comes with torch on Linux",
)


def child(arguments: list[str], **environment: str) -> str:
    """What a Python process prints; it has to end well."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env={name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"} | environment,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    return done.stdout


def cases(which: str) -> list[str]:
    files = [str(CASES / f"{name}.py") for name in ("passes", "whole", "among_torch", "planted")]
    return ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", which, *files]


@needs_triton
def test_the_kernels_in_the_interpreter() -> None:
    assert " passed" in child(cases("not slow"), TRITON_INTERPRET="1", CUDA_VISIBLE_DEVICES="")


@needs_triton
@pytest.mark.slow
def test_the_kernels_in_the_interpreter_at_many_shapes() -> None:
    assert " passed" in child(cases("slow"), TRITON_INTERPRET="1", CUDA_VISIBLE_DEVICES="")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here: the interpreter stands in for it")
def test_the_kernels_on_the_gpu() -> None:
    assert " passed" in child(cases("slow or not slow"))


@needs_triton
@pytest.mark.slow
@pytest.mark.parametrize("generation", [80, 90])
def test_the_kernels_compile_for_a_gpu_that_is_not_here(generation: int) -> None:
    """Machine code for A100 and H100/H200, each type, contiguous and channels_last; two registers are spilt at most."""
    found = child(["-m", "tests.kernels.triton.machine_code", str(generation)]).splitlines()
    passes = {"strips", "gates", "moments", "finish", "close", "back", "slopes"}
    own = {"contiguous_format": {"apply", "spread", "single"}, "channels_last": {"apply_last", "spread_last"}}
    expected = {
        (str(dtype), f"torch.{layout}", f"{name}_kernel")
        for dtype in (torch.float32, torch.float16, torch.bfloat16)
        for layout, names in own.items()
        for name in passes | names
    }
    assert {tuple(line.split()[:-1]) for line in found} == expected
    assert [line for line in found if int(line.split()[-1]) > 8] == []


@needs_triton
def test_a_form_met_again_starts_as_triton_would_start_it() -> None:
    """Five launches forward and five backward: the same grids, numbers, and forms of what is pointed to."""
    assert child(["-m", "tests.kernels.triton.started", "90"]) == "10 True\n"


def test_without_triton_nothing_is_served() -> None:
    blocked = "import sys; sys.modules['triton'] = None; import torch; from attnzoo.kernels import triton as kernels; "
    assert child(["-c", f"{blocked}print(kernels.serves(torch.ones(1, 1, 2, 2)))"]) == "False\n"


def test_the_cpu_is_served_in_the_interpreter_only() -> None:
    asked = "import torch; from attnzoo.kernels import triton as kernels; print(kernels.serves(torch.ones(1, 1, 2, 2)))"
    assert child(["-c", asked]) == "False\n"
