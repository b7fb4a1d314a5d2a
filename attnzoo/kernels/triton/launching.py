"""What the form of a map settles about a launch, found once: its grid, its numbers, and the kernel that serves it.

Triton looks at every argument of every call anew, and so did we at every shape: on small maps, more time than a GPU
needs for them. So a pass is made for a form and kept; called, it is pointers and nothing else.
"""

# mypy: disable-error-code="no-any-unimported,import-untyped"

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from triton.runtime.jit import KernelInterface

KEPT = 256  # forms: what a program of many image sizes has at hand; the others are made again, not compiled again
ALIGNED = 16  # bytes: a kernel for such a pointer reads four float32 at a time

Strides = tuple[int, ...]


class Form(NamedTuple):
    """All of a tensor that a kernel is made for: shape, strides, type, device and whether its pointer is aligned."""

    shape: tuple[int, ...]
    strides: Strides
    dtype: torch.dtype
    device: int
    aligned: bool

    @property
    def lies_in_channels(self) -> bool:
        """Whether neighbours in memory are neighbours in channels: `channels_last` and its like."""
        return self.strides[1] == 1 and self.shape[1] > 1 and self.strides[3] != 1


def form(tensor: Tensor) -> Form:
    """That of a tensor."""
    return Form(
        tensor.shape, tensor.stride(), tensor.dtype, tensor.get_device(), tensor.data_ptr() % ALIGNED == 0
    )  # fmt: skip


def like(x: Form) -> Form:
    """That of what `torch.empty_like` gives for x."""
    strides = torch.empty_like(torch.empty_strided(x.shape, x.strides, device="meta")).stride()
    return Form(x.shape, strides, x.dtype, x.device, aligned=True)


def new(x: Form, shape: tuple[int, ...], dtype: torch.dtype, layout: torch.memory_format) -> Form:
    """That of a new tensor on x's device."""
    strides = torch.empty(shape, device="meta", memory_format=layout).stride()
    return Form(shape, strides, dtype, x.device, aligned=True)


class Launch:
    """A kernel for one form. All tensors that it is called with must be of the forms of the first call's.

    Args:
        kernel: Takes pointers first, then `numbers`.
        programs: How many.
        numbers: Sizes, strides and what is known when the kernel is compiled.
        options: How it is compiled.
    """

    __slots__ = ("_start", "grid", "kernel", "numbers", "options")

    def __init__(self, kernel: KernelInterface[Any], programs: int, *numbers: float, **options: Any) -> None:
        self.kernel, self.grid, self.numbers, self.options = kernel, (programs, 1, 1), numbers, options
        self._start: Callable[..., None] | None = None

    def __call__(self, *tensors: Tensor) -> None:
        if self._start is not None:
            self._start(*tensors, *self.numbers)
            return
        compiled = self.kernel[self.grid](*tensors, *self.numbers, **self.options)
        if compiled is not None:  # the interpreter compiles nothing
            self._start = compiled[self.grid]
