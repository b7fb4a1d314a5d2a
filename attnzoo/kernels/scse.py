"""scSE's maximum as one, where nobody asks for a gradient; the block's own form has the faster one."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from attnzoo.kernels import large


def form(word: str, block: Any, x: Tensor) -> Callable[..., Tensor] | None:
    """What can serve the block's forward on this map, if anything."""
    return _larger if block.fuse == "max" and not torch.is_grad_enabled() and large(word, x) else None


def _larger(block: Any, x: Tensor) -> Tensor:
    channel, position = block.factors(x)
    return torch.maximum(x * channel, x * position)
