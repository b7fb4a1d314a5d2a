"""EMA without its convolution from c to c channels: exactly the block's numbers, in fewer passes over memory.

Two facts (x is a group, y = x·h·w its map scaled by rows and columns, x1 = GroupNorm(y), x2 = the 3×3 convolution):
the mean of x1 is the norm's bias, so the weights of x2's channels are softmax(beta), and their sum is one convolution
to a single channel; the mean of x2 is linear in nine window sums of x, which follow from the sums of rows and of
columns and the corners. So x is summed, y's variance is found, and one map is made of both; nothing else is that large.

A piece is (N, c, H, W): any number of groups, of any samples, for they do not hear each other.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attnzoo.kernels import watched

FEWEST = 2**18  # numbers of x
SMALLEST = 2**8  # numbers of a channel


class Weights(NamedTuple):
    """The block's: of the 1×1 convolution, of the norm, of the 3×3 convolution."""

    conv1: Tensor
    bias1: Tensor
    gamma: Tensor
    beta: Tensor
    conv3: Tensor
    bias3: Tensor


class Steps(NamedTuple):
    """What touches whole maps; between the steps there are only sums. The CPU has its own, in `ema_cpu`.

    strips: x → sums of rows (N, c, H) and of columns (N, c, W), and the corners (N, 4, c).
    moments: x, h (N, c, H), w (N, c, W) → y = x·h·w less its means, and its variance (N, c).
    factor: x, y, taps (c, 3, 3), scale (N, c), offset (N) → σ(Σ_c taps ∗ x + Σ_c scale·y + offset), (N, H, W).
    """

    strips: Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
    moments: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
    factor: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]


def form(word: str, block: Any, x: Tensor) -> Callable[..., Tensor] | None:
    """What can serve the block's forward on this map, if anything."""
    if x.ndim != 4 or x.is_meta or not _ordinary(block, x):
        return None
    if word != "torch" and (word == "triton" or x.is_cuda) and not torch.onnx.is_in_onnx_export():
        from attnzoo.kernels import triton

        if triton.serves(x):
            return _fused
    return _plain if word != "auto" or _pays(x) else None


def _pays(x: Tensor) -> bool:
    """Measured on the CPU only; on small maps what counts is how many operators start, and the readable form has fewer.

    A compiler starts few in any case, and asking it for a size would bind its graph to that.
    """
    if x.device.type != "cpu":
        return False
    return torch.compiler.is_compiling() or (x.numel() >= FEWEST and x.shape[2:].numel() >= SMALLEST)


def _ordinary(block: Any, x: Tensor) -> bool:
    """Whether the layers are what the block made, nobody listens to them, and they take x."""
    conv1, gn, conv3 = layers = (block.conv1x1, block.gn, block.conv3x3)
    if "weights" in block.__dict__ or any(watched(one) for one in layers):
        return False
    if (type(conv1), type(gn), type(conv3)) != (nn.Conv2d, nn.GroupNorm, nn.Conv2d):
        return False
    if (conv3.padding, conv3.dilation, conv3.padding_mode) != ((1, 1), (1, 1), "zeros"):
        return False
    if not conv1.stride == conv3.stride == (1, 1) or conv1.padding != (0, 0):
        return False
    each = len(conv1.weight)
    if x.shape[1] != block.groups * each or gn.num_groups != each:
        return False
    mixed = torch.is_autocast_enabled(x.device.type)
    shapes = ((each, each, 1, 1), (each,), (each,), (each,), (each, each, 3, 3), (each,))
    return all(
        weight is not None
        and weight.shape == shape
        and weight.device == x.device
        and (mixed or weight.dtype == x.dtype)
        for weight, shape in zip(_weights(block), shapes, strict=True)
    )


def _weights(block: Any) -> Weights:
    conv1, gn, conv3 = block.conv1x1, block.gn, block.conv3x3
    return Weights(conv1.weight, conv1.bias, gn.weight, gn.bias, conv3.weight, conv3.bias)


def _fused(block: Any, x: Tensor) -> Tensor:
    from attnzoo.kernels import triton

    return triton.ema(x, block.groups, block.conv1x1, block.gn, block.conv3x3)


def _plain(block: Any, x: Tensor) -> Tensor:
    if torch.compiler.is_compiling() or x.device.type != "cpu":
        return whole(x, block.groups, block.gn.eps, _weights(block))
    from attnzoo.kernels import ema_cpu

    return ema_cpu.in_pieces(x, block.groups, block.gn.eps, _weights(block))


def whole(x: Tensor, groups: int, eps: float, weights: Weights) -> Tensor:
    """EMA in operators that torch differentiates, compiles and exports."""
    with precise(x):
        wide = accumulator(x)
        pieces = x.reshape(x.shape[0] * groups, x.shape[1] // groups, *x.shape[2:]).to(wide)
        steps = Steps(_strips, _moments, partial(_factor, groups=groups))
        factor = attend(pieces, eps, Weights(*(weight.to(wide) for weight in weights)), steps)  # (B·G, H, W)
        return (x * factor.unsqueeze(1).expand_as(pieces).reshape(x.shape)).to(x.dtype)


def attend(x: Tensor, eps: float, weights: Weights, steps: Steps) -> Tensor:
    """What each position of each group is multiplied by, (N, H, W)."""
    conv1, bias1, gamma, beta, conv3, bias3 = weights
    height, width = x.shape[2:]
    rows, columns, corners = steps.strips(x)
    mix = conv1.flatten(1).expand(x.shape[0], -1, -1)  # (N, c, c)
    h = (mix @ (rows / width) + bias1[:, None]).sigmoid()  # (N, c, H)
    w = (mix @ (columns / height) + bias1[:, None]).sigmoid()  # (N, c, W)
    edges = torch.stack([rows.sum(2), rows[..., 0], rows[..., -1], columns[..., 0], columns[..., -1]], 1)
    sums = torch.cat([edges, corners], 1).flatten(1)  # (N, 9c)
    judged = (F.linear(sums, _of_sums(conv3).flatten(1)) / (height * width) + bias3).softmax(1)  # (N, c)
    fixed = beta.softmax(0)  # (c)
    y, variance = steps.moments(x, h, w)
    scale = judged * (gamma * torch.rsqrt(variance + eps))
    taps = (fixed[:, None] * conv3.flatten(1)).sum(0).view(conv3.shape[1:])  # (c, 3, 3)
    return steps.factor(x, y, taps, scale, (judged * beta).sum(1) + (fixed * bias3).sum())


def _of_sums(kernel: Tensor) -> Tensor:
    """The 3×3 convolution's mean, in what it takes of each sum: (c, 9, c), in the order of `edges` and corners.

    A tap that looks up misses the last row, one that looks down the first; what both lose to a row and to a column,
    the corner, is lost once.
    """
    across, down = kernel.sum(3), kernel.sum(2)
    edges = [kernel.sum((2, 3)), -across[..., 2], -across[..., 0], -down[..., 2], -down[..., 0]]
    return torch.stack([*edges, kernel[..., 2, 2], kernel[..., 2, 0], kernel[..., 0, 2], kernel[..., 0, 0]], 1)


def accumulator(x: Tensor) -> torch.dtype:
    """Sums are in float32 at least."""
    return torch.promote_types(x.dtype, torch.float32)


def precise(x: Tensor) -> AbstractContextManager[object]:
    """No autocast within: it would sum in half precision."""
    kind = x.device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()


def _strips(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return x.sum(3), x.sum(2), torch.stack([x[:, :, i, j] for i in (0, -1) for j in (0, -1)], 1)


def _moments(x: Tensor, h: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
    y = x * h[..., None] * w[:, :, None]
    y = y - y.mean((2, 3), keepdim=True)
    return y, y.square().mean((2, 3))


def _factor(x: Tensor, y: Tensor, taps: Tensor, scale: Tensor, offset: Tensor, groups: int) -> Tensor:
    return (_neighbours(x, taps, groups) + (scale[..., None, None] * y).sum(1) + offset[:, None, None]).sigmoid()


def _neighbours(x: Tensor, taps: Tensor, groups: int) -> Tensor:
    """The 3×3 convolution to one channel; as such in an exported graph, else in steps that a compiler makes loops of.

    Rows and channels first, into three maps, of which only sums are shifted to the side: twice as fast as nine shifts.
    """
    height, width = x.shape[2:]
    if torch.compiler.is_exporting():
        samples = x.reshape(-1, groups * len(taps), height, width)
        return F.conv2d(samples, taps.expand(groups, -1, -1, -1), padding=1, groups=groups).flatten(0, 1)
    padded = F.pad(x, (0, 0, 1, 1))
    rows = [padded[:, :, i : i + height] for i in range(3)]
    left, level, right = (
        sum((row * taps[:, i, j, None, None] for i, row in enumerate(rows[1:], 1)), rows[0] * taps[:, 0, j, None, None])
        for j in range(3)
    )
    return F.pad(left.sum(1), (1, 0))[..., :width] + level.sum(1) + F.pad(right.sum(1), (0, 1))[..., 1:]
