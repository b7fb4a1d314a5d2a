"""The watch over memory itself: it finds what is planted, and lets pass what a GPU lets pass."""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,import-untyped"

from typing import Any

import pytest
import torch
import triton
import triton.language as tl
from triton.runtime.errors import InterpreterError

from attnzoo.kernels.triton.launching import Launch

from .ground import DEVICE
from .memory import FaultError

pytestmark = pytest.mark.skipif(DEVICE == "cuda", reason="the interpreter alone is watched")


@triton.jit
def copy_kernel(x, out, shift, tile: tl.constexpr):
    """Numbers of x, from `shift` on, to the place of this program."""
    i = tl.arange(0, tile)
    tl.store(out + tl.program_id(0) * tile + i, tl.load(x + shift + i))


@triton.jit
def shared_kernel(out, value, tile: tl.constexpr):
    """Every program writes its number, times `value`, to one place."""
    i = tl.arange(0, tile)
    tl.store(out + i, tl.zeros([tile], tl.float32) + tl.program_id(0) * value)


@triton.jit
def neighbour_kernel(x, towards, tile: tl.constexpr):
    """Each of two programs writes a piece, the second and the third of four, and reads the one before or after it."""
    i = tl.arange(0, tile)
    here = (tl.program_id(0) + 1) * tile
    tl.store(x + here + i, i.to(tl.float32))
    tl.load(x + here + towards * tile + i)


@triton.jit
def turned_kernel(x, barrier: tl.constexpr, back: tl.constexpr, tile: tl.constexpr):
    """A thread reads what another has written, or writes what another has read."""
    i = tl.arange(0, tile)
    if back:
        value = tl.load(x + i)
        if barrier:
            tl.debug_barrier()
        tl.store(x + tile - 1 - i, value)
    else:
        tl.store(x + i, i.to(tl.float32))
        if barrier:
            tl.debug_barrier()
        tl.load(x + tile - 1 - i)


@triton.jit
def crowded_kernel(out, many: tl.constexpr, tile: tl.constexpr):
    """Several numbers for one place, different ones unless there is only one place."""
    i = tl.arange(0, tile)
    tl.store(out + i % many, (i // many).to(tl.float32))


def fault(kernel: Any, programs: int, *given: Any) -> str | None:
    """What a launch is refused for."""
    tensors = [one for one in given if isinstance(one, torch.Tensor)]
    numbers = [one for one in given if not isinstance(one, torch.Tensor)]
    try:
        Launch(kernel, programs, *numbers)(*tensors)
    except InterpreterError as error:
        if isinstance(error.__cause__, FaultError):
            return str(error.__cause__).removeprefix(f"{kernel.__name__}: ")
        raise
    return None


def test_reads_and_writes_outside() -> None:
    x, out = torch.randn(12), torch.zeros(8)
    assert fault(copy_kernel, 1, x[2:10], out, 0, 8) is None
    assert torch.equal(out, x[2:10])
    for reading, shift in ((x[2:10], 1), (x[2:10], -1), (x[2:], 3), (x[::2], 0)):
        assert fault(copy_kernel, 1, reading, out, shift, 8) == "program 0 reads outside of its tensors"
    assert fault(copy_kernel, 2, x, out, 0, 8) == "program 1 writes outside of its tensors"


def test_what_is_new_holds_nothing() -> None:
    out = torch.zeros(8)
    assert fault(copy_kernel, 1, torch.zeros(1).new_empty(8), out, 0, 8) is None
    assert out.isnan().all()


def test_programs_that_race() -> None:
    out, pieces = torch.zeros(8), torch.zeros(32)
    assert fault(shared_kernel, 3, out, 0.0, 8) is None  # all write the same
    told = "program 1 and another write different numbers to one place"
    assert fault(shared_kernel, 3, out, 1.0, 8) == told
    for towards, told in ((-1, "program 1 reads what another writes"), (1, "program 1 writes what another reads")):
        assert fault(neighbour_kernel, 2, pieces, towards, 8) == f"{told} in the same launch"


def test_threads_that_race() -> None:
    for back, did in ((False, "reads what it wrote"), (True, "writes what it read")):
        assert fault(turned_kernel, 1, torch.zeros(8), True, back, 8) is None
        told = f"program 0 {did}, without a barrier in between"
        assert fault(turned_kernel, 1, torch.zeros(8), False, back, 8) == told
    x = torch.randn(8)
    assert fault(copy_kernel, 1, x, x, 0, 8) is None  # in place
    assert fault(crowded_kernel, 1, torch.zeros(8), 8, 8) is None
    assert fault(crowded_kernel, 1, torch.zeros(8), 4, 8) == "program 0 writes different numbers to one place"
