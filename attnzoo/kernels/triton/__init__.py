"""EMA as fused kernels for CUDA, forward and backward; on the CPU under TRITON_INTERPRET=1, for tests.

x is read three times and written once: row and column sums, mean and variance, the map; where a group is small, the
second and the third time from the cache, and in one launch. Sums are float32, in a fixed
order, so that equal inputs give equal bits. float64 is left to the plain torch form, and so is 3-D.
"""

import os
from typing import Any

import torch
from torch import Tensor, nn

try:
    from attnzoo.kernels.triton.operators import Eager, forward, registered_forward
except ImportError:  # no triton here
    THERE = False
else:
    THERE = True

SERVED = (torch.float32, torch.float16, torch.bfloat16)
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
# Triton's own bound; asked once, as a graph that is compiled cannot ask
CAPABLE = tuple(
    torch.cuda.get_device_capability(index) >= (7, 0)
    for index in range(torch.cuda.device_count() if THERE and torch.cuda.is_available() else 0)
)


def serves(x: Tensor) -> bool:
    """Whether these kernels take this map.

    One position is left to torch: there y is its mean, and what a product and a difference in one leave of that, some
    1e-8, the norm would multiply by 1/√eps.
    """
    if not THERE or x.dtype not in SERVED or x.ndim != 4 or x.shape[2] * x.shape[3] == 1:
        return False
    return CAPABLE[x.device.index] if x.is_cuda else INTERPRETED and x.device.type == "cpu"


def ema(x: Tensor, groups: int, conv1x1: nn.Module, gn: nn.GroupNorm, conv3x3: nn.Module) -> Tensor:
    """All of EMA: one launch forward, or five on large maps; backward x's gradient is written once."""
    given: Any = (x, groups, conv1x1.weight, conv1x1.bias, gn.weight, gn.bias, conv3x3.weight, conv3x3.bias, gn.eps)
    out: Tensor
    if torch.compiler.is_compiling():
        out, _ = registered_forward(*given)
    elif torch.is_grad_enabled():
        out = Eager.apply(*given)
    else:
        out, _ = forward(*given)
    return out
