"""The gate on the CPU in evaluation mode: batch norms folded into the matrices, and both products added in one map.

Folded are a few hundred rows, at every call, for weights may have changed; left out are five passes over maps half as
wide as the skip. On a GPU the small operators of folding would cost more launches than they save.
"""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from attnzoo.kernels import large, watched

WHOLE = (torch.float32, torch.float64)  # half precision would round between the two products
POINTWISE = (nn.Conv2d, nn.Conv3d)
NORMS = ("torch.nn.modules.batchnorm", "attnzoo.blocks._parts")  # homes of classes that do nothing but normalise


def form(word: str, block: Any, x: Tensor, gate: Tensor) -> Callable[..., Tensor] | None:
    """What can serve the block's forward on these maps, if anything."""
    if block.training or torch.is_grad_enabled() or x.device.type != "cpu" or not large(word, x):
        return None
    if x.dtype not in WHOLE or gate.dtype != x.dtype or torch.is_autocast_enabled("cpu"):
        return None
    if not (x.is_contiguous() and gate.is_contiguous()) or len(x) != len(gate):
        return None  # rows of the matrices would have to be brought together first
    ordinary = (
        "weights" not in block.__dict__
        and _ordinary(block.phi, x.dtype, gate.shape[1])
        and _ordinary(block.theta, x.dtype, x.shape[1])
        and _ordinary(block.psi, x.dtype, block.theta[0].out_channels, nn.Sigmoid)
    )
    return _folded if ordinary else None


def _ordinary(part: nn.Sequential, dtype: torch.dtype, channels: int, *then: type[nn.Module]) -> bool:
    """Whether the layers are what the block made, or what folding left of them, take the map, and nothing listens."""
    if type(part) is not nn.Sequential or any(watched(one) for one in (part, *part)):
        return False
    conv, norm, *rest = part
    if type(conv) not in POINTWISE or tuple(map(type, rest)) != then:
        return False
    conv = cast("nn.Conv2d", conv)
    if conv.bias is None or conv.weight.dtype != dtype or {*conv.stride} != {1} or {*conv.padding} != {0}:
        return False
    if not conv.weight.shape[1] == conv.weight[0].numel() == channels:  # one position, and all channels
        return False
    if type(norm) is nn.Identity:
        return True
    whole = isinstance(norm, _BatchNorm) and type(norm).__module__ in NORMS and not norm.training
    return whole and norm.running_mean is not None and norm.weight is not None and norm.weight.dtype == dtype


def _folded(block: Any, x: Tensor, gate: Tensor) -> Tensor:
    gate = block.resized(gate, x)
    (theta, own), (phi, other), (psi, offset) = (_fold(part) for part in (block.theta, block.phi, block.psi))
    batch = x.shape[0]
    added = torch.baddbmm((own + other)[:, None], theta.expand(batch, -1, -1), x.flatten(2))  # (B, inner, ΠS)
    added.baddbmm_(phi.expand(batch, -1, -1), gate.flatten(2)).relu_()
    alpha = torch.baddbmm(offset[:, None], psi.expand(batch, -1, -1), added).sigmoid_()  # (B, 1, ΠS)
    return x * alpha.view(batch, 1, *x.shape[2:])


def _fold(part: nn.Sequential) -> tuple[Tensor, Tensor]:
    """The 1×1 convolution and its norm as one matrix and one offset."""
    conv = cast("nn.Conv2d", part[0])
    weight, bias = conv.weight.flatten(1), cast("Tensor", conv.bias)
    if type(part[1]) is nn.Identity:
        return weight, bias
    norm = cast("_BatchNorm", part[1])
    scale = norm.weight * (cast("Tensor", norm.running_var) + norm.eps).rsqrt()
    return weight * scale[:, None], norm.bias + (bias - cast("Tensor", norm.running_mean)) * scale
