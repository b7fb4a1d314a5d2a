"""The passes as operators of torch's library, which compile, export, autocast and DDP take for their own.

They are opaque (`custom_op`, not `triton_op`): the interpreter can then stand in for a GPU under compile and
export too, and there is nothing worth fusing into passes that the memory bounds. Autocast leaves them alone: they take
any floating type, add in float32, and give x's type back.
"""

# mypy: disable-error-code="untyped-decorator"

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from attnzoo.kernels.triton import applying, between, reading, spreading


def operator(name: str) -> Any:
    """`custom_op`, which mypy does not see through."""
    return torch.library.custom_op(f"attnzoo::ema_{name}", mutates_args=())


def on(x: Tensor) -> AbstractContextManager[Any]:
    """Kernels start on the current device, which need not be x's."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()


def like(x: Tensor, *shape: int) -> Tensor:
    """Zeros, which a map without values leaves as they are."""
    return x.new_zeros(shape, dtype=torch.float32)


@operator("forward")
def forward(
    x: Tensor, groups: int, conv1: Tensor, bias1: Tensor, gamma: Tensor, beta: Tensor, conv3: Tensor, bias3: Tensor,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """All of EMA in five launches; after the output what `backward` wants: see `between`."""
    if x.numel() == 0:
        return _nothing(x, groups)
    with on(x):
        rows, columns = reading.strips(x)
        h, w, rows, columns, logits, taps = between.gates(x, rows, columns, groups, conv1, bias1, beta, conv3, bias3)
        mean, variance, scale, offset = between.finish(x, h, w, logits, groups, gamma, beta, bias3, eps)
        out = applying.apply(x, taps, scale, mean, h, w, offset)
    return out, h, w, rows, columns, logits, taps, mean, variance, scale, offset


@forward.register_fake
def _(
    x: Tensor, groups: int, conv1: Tensor, bias1: Tensor, gamma: Tensor, beta: Tensor, conv3: Tensor, bias3: Tensor,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    return _nothing(x, groups)


def _nothing(
    x: Tensor, groups: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The form of what `forward` gives."""
    batch, channels, height, width = x.shape
    h, w, each = like(x, batch, channels, height), like(x, batch, channels, width), like(x, batch, channels)
    taps, offset, new = like(x, channels // groups, 3, 3), like(x, batch, groups), torch.empty_like
    return new(x), h, w, new(h), new(w), each, taps, new(each), new(each), new(each), offset


@operator("press")
def press(
    x: Tensor, taps: Tensor, scale: Tensor, mean: Tensor, h: Tensor, w: Tensor, offset: Tensor, grad: Tensor
) -> tuple[Tensor, Tensor]:
    """The gradient of m, (B, G, H, W), and σ(m) again, which costs less than keeping it."""
    if x.numel() == 0:
        return applying.pressed(x, offset)
    with on(x):
        return applying.press(x, taps, scale, mean, h, w, offset, grad)


@press.register_fake
def _(
    x: Tensor, taps: Tensor, scale: Tensor, mean: Tensor, h: Tensor, w: Tensor, offset: Tensor, grad: Tensor
) -> tuple[Tensor, Tensor]:
    return applying.pressed(x, offset)


@operator("slopes")
def slopes(x: Tensor, h: Tensor, w: Tensor, push: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """What the gradients of h and of w are made of: see `reading.slopes`."""
    if x.numel() == 0:
        return like(x, 3, *h.shape), like(x, 3, *w.shape)
    with on(x):
        return reading.slopes(x, h, w, push, mean)


@slopes.register_fake
def _(x: Tensor, h: Tensor, w: Tensor, push: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    return like(x, 3, *h.shape), like(x, 3, *w.shape)


@operator("spread")
def spread(
    x: Tensor, h: Tensor, w: Tensor, grad: Tensor, factor: Tensor, push: Tensor, taps: Tensor, scale: Tensor,
    mean: Tensor, slope: Tensor, rows: Tensor, columns: Tensor, corners: Tensor,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The gradients of x and of the taps: see `spreading.spread`."""
    if x.numel() == 0:
        return torch.empty_like(x), like(x, *taps.shape)
    with on(x):
        return spreading.spread(
            x, h, w, grad, factor, push, taps, scale, mean,
            slope.contiguous(), rows.contiguous(), columns.contiguous(), corners.contiguous(),
        )  # fmt: skip


@spread.register_fake
def _(
    x: Tensor, h: Tensor, w: Tensor, grad: Tensor, factor: Tensor, push: Tensor, taps: Tensor, scale: Tensor,
    mean: Tensor, slope: Tensor, rows: Tensor, columns: Tensor, corners: Tensor,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    return torch.empty_like(x), like(x, *taps.shape)
