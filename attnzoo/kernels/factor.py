"""The skip multiplied into its factor, where nobody asks for a gradient: the same bits, and no third map is made.

For blocks whose `weights` makes a map that nobody else holds.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attnzoo.kernels import large


def form(word: str, block: Any, x: Tensor) -> Callable[..., Tensor] | None:
    """What can serve the block's forward on this map, if anything."""
    return _weighed if overwrites(word, block, x) else None


def overwrites(word: str, block: Any, x: Tensor) -> bool:
    """Whether maps on the way to the result may be overwritten: no gradient wants them, and nobody put in his own."""
    return not torch.is_grad_enabled() and "weights" not in block.__dict__ and large(word, x)


def _weighed(block: Any, x: Tensor) -> Tensor:
    return into(block.weights(x), x)


def into(factor: Tensor, x: Tensor) -> Tensor:
    """x times a factor that nobody else holds, and that is overwritten where it can be."""
    alike = factor.dtype == x.dtype and factor.shape == x.shape and factor.stride() == x.stride()
    return factor.mul_(x) if alike else x * factor  # which has the skip's layout, and the wider of two dtypes
