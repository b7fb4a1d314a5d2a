"""CBAM with a pass less: what the pooling needs, the skip scaled by channels, is scaled on, and not begun anew."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from attnzoo.kernels import large


def form(word: str, block: Any, x: Tensor) -> Callable[..., Tensor] | None:
    """A compiler leaves out the pass by itself."""
    return _once if large(word, x) else None


def _once(block: Any, x: Tensor) -> Tensor:
    _, position, scaled = block.factors(x)
    result: Tensor = scaled * position
    return result
