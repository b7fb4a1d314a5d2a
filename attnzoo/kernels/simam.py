"""SimAM in place, where nobody asks for a gradient: the same bits, in one map instead of six."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attnzoo.kernels.factor import into, overwrites


def form(word: str, block: Any, x: Tensor) -> Callable[..., Tensor] | None:
    """What can serve the block's forward on this map, if anything."""
    return _in_place if overwrites(word, block, x) else None


def _in_place(block: Any, x: Tensor) -> Tensor:
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    squares = (wide - block.means(wide)).square_()  # (B, C, *S)
    factor = squares.mul_(block.inverse(squares)).add_(0.5).sigmoid_()
    return into(factor.to(x.dtype), x)
