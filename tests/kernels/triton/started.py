"""Whether what is prepared starts as Triton would start it on a GPU that is not here: how many starts, and `True`.

The first call of a form goes Triton's own way, the second straight to the compiled kernel.

python -m tests.kernels.triton.started 90
"""

import sys
from typing import Any

import torch
import triton

from attnzoo.blocks.ema import EMA
from attnzoo.kernels import triton as kernels

from .elsewhere import Elsewhere

Start = tuple[object, ...]
started: list[Start] = []


class Launcher:
    """Takes down what it would start: the grid, and every argument, a tensor by its form."""

    def __init__(self, source: Any, metadata: Any) -> None:
        self.name = source.fn.__name__

    def __call__(self, *arguments: object) -> None:
        plain = (one for one in arguments if isinstance(one, int | float | str | torch.Tensor))
        forms = (
            (one.dtype, one.shape, one.stride(), one.data_ptr() % 16) if isinstance(one, torch.Tensor) else one
            for one in plain
        )
        started.append((self.name, *forms))


def main() -> None:
    triton.runtime.driver.set_active(Elsewhere(Launcher))
    block = EMA(2, groups=1)
    x = torch.zeros(1, 2, 8, 6, requires_grad=True)

    def starts() -> list[Start]:
        started.clear()
        out = kernels.ema(x, block.groups, block.conv1x1, block.gn, block.conv3x3)
        torch.autograd.grad(out, [x, *block.parameters()], torch.zeros_like(out))
        return list(started)

    first = starts()
    run, triton.runtime.jit.JITFunction.run = triton.runtime.jit.JITFunction.run, None
    second = starts()
    triton.runtime.jit.JITFunction.run = run
    sys.stdout.write(f"{len(first)} {first == second}\n")


if __name__ == "__main__":
    main()
