"""The passes: as plain functions, and as operators of torch's library, which compilers and exporters take as theirs.

They are opaque (`custom_op`, not `triton_op`): the interpreter can then stand in for a GPU under compile and
export too, and there is nothing worth fusing into passes that the memory bounds. Autocast leaves them alone: they take
any floating type, add in float32, and give x's type back. An operator's way round takes longer than a small map's
passes, so an eager call goes by the plain functions.
"""

# mypy: disable-error-code="no-untyped-call,untyped-decorator,misc"

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

from attnzoo.kernels.triton import applying, between, kept, one_launch, reading, returning, spreading


class Passes(NamedTuple):
    """What EMA is made of, forward and backward."""

    forward: Callable[..., tuple[Tensor, Tensor]]
    press: Callable[..., tuple[Tensor, Tensor]]
    slopes: Callable[..., tuple[Tensor, Tensor]]
    back: Callable[..., tuple[Tensor, Tensor, Tensor, Tensor, Tensor]]
    spread: Callable[..., tuple[Tensor, Tensor]]
    close: Callable[..., Tensor]


def on(x: Tensor) -> AbstractContextManager[Any]:
    """Kernels start on the current device, which need not be x's."""
    if not x.is_cuda or x.device.index == torch.cuda.current_device():
        return nullcontext()
    return torch.cuda.device(x.device)


def like(x: Tensor, *shape: int) -> Tensor:
    """Zeros, which a map without values leaves as they are."""
    return x.new_zeros(shape, dtype=torch.float32)


def forward(
    x: Tensor, groups: int, conv1: Tensor, bias1: Tensor, gamma: Tensor, beta: Tensor, conv3: Tensor, bias3: Tensor,
    eps: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """All of EMA, and what the backward pass wants of it: `kept.views` names it."""
    if x.numel() == 0:
        return _forward(x, groups)
    buffer = x.new_empty(kept.numbers(x.shape, groups), dtype=torch.float32)
    found = kept.views(buffer, x.shape, groups)
    with on(x):
        if one_launch.serves(x, groups):
            return one_launch.single(x, groups, conv1, bias1, gamma, beta, conv3, bias3, eps, found), buffer
        rows, columns = reading.strips(x)
        between.gates(x, rows, columns, groups, conv1, bias1, beta, conv3, bias3, found)
        between.finish(x, groups, gamma, beta, bias3, eps, found)
        return applying.apply(x, found.taps, found.scale, found.mean, found.h, found.w, found.offset), buffer


def press(
    x: Tensor, taps: Tensor, scale: Tensor, mean: Tensor, h: Tensor, w: Tensor, offset: Tensor, grad: Tensor
) -> tuple[Tensor, Tensor]:
    """The gradient of m, (B, G, H, W), and σ(m) again, which costs less than keeping it."""
    if x.numel() == 0:
        return applying.pressed(x, offset)
    with on(x):
        return applying.press(x, taps, scale, mean, h, w, offset, grad)


def slopes(x: Tensor, h: Tensor, w: Tensor, push: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """What the gradients of h and of w are made of: see `reading.slopes`."""
    if x.numel() == 0:
        return _slopes(x, h, w)
    with on(x):
        return reading.slopes(x, h, w, push, mean)


def back(
    x: Tensor, rows: Tensor, columns: Tensor, pushed: Tensor, buffer: Tensor, groups: int, conv1: Tensor, gamma: Tensor,
    beta: Tensor, conv3: Tensor, eps: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """The small maths before `spread`: see `returning.back`; `buffer` is what `forward` kept."""
    if x.numel() == 0:
        return _back(x, groups)
    with on(x):
        found = kept.views(buffer, x.shape, groups)
        return returning.back(x, rows, columns, pushed.contiguous(), found, groups, conv1, gamma, beta, conv3, eps)


def spread(
    x: Tensor, h: Tensor, w: Tensor, grad: Tensor, factor: Tensor, push: Tensor, taps: Tensor, scale: Tensor,
    mean: Tensor, slope: Tensor, rows: Tensor, columns: Tensor, corners: Tensor,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The gradients of x and of the taps: see `spreading.spread`."""
    if x.numel() == 0:
        return _spread(x, taps)
    with on(x):
        return spreading.spread(
            x, h, w, grad, factor, push, taps, scale, mean,
            slope.contiguous(), rows.contiguous(), columns.contiguous(), corners.contiguous(),
        )  # fmt: skip


def close(shares: Tensor, on_taps: Tensor, beta: Tensor, conv3: Tensor, bias3: Tensor) -> Tensor:
    """The small maths after `spread`: see `returning.close`."""
    if shares.numel() == 0:
        return _close(shares)
    with on(shares):
        return returning.close(shares, on_taps.contiguous(), beta, conv3, bias3)


# what the passes give, in form


def _forward(x: Tensor, groups: int, *_: Any) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x), like(x, kept.numbers(x.shape, groups))


def _press(
    x: Tensor, taps: Tensor, scale: Tensor, mean: Tensor, h: Tensor, w: Tensor, offset: Tensor, grad: Tensor
) -> tuple[Tensor, Tensor]:
    return applying.pressed(x, offset)


def _slopes(x: Tensor, h: Tensor, w: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    return like(x, 3, *h.shape), like(x, 3, *w.shape)


def _back(x: Tensor, groups: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    batch, channels, height, width = x.shape
    slope, corners = like(x, 2, batch, channels), like(x, batch, channels, 2, 2)
    rows, columns = like(x, batch, channels, height), like(x, batch, channels, width)
    return slope, rows, columns, corners, like(x, batch * groups, returning.size(channels // groups))


def _back_of(
    x: Tensor, rows: Tensor, columns: Tensor, pushed: Tensor, buffer: Tensor, groups: int, *_: Any
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    return _back(x, groups)


def _spread(x: Tensor, taps: Tensor) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x), like(x, *taps.shape)


def _spread_of(
    x: Tensor, h: Tensor, w: Tensor, grad: Tensor, factor: Tensor, push: Tensor, taps: Tensor, *_: Any
) -> tuple[Tensor, Tensor]:
    return _spread(x, taps)


def _close(shares: Tensor, *_: Any) -> Tensor:
    return like(shares, shares.shape[1])


def _registered(function: Any, form: Callable[..., Any]) -> Any:
    operator = torch.library.custom_op(f"attnzoo::ema_{function.__name__}", function, mutates_args=())
    operator.register_fake(form)
    return operator


PLAIN = Passes(forward, press, slopes, back, spread, close)
REGISTERED = Passes(
    _registered(forward, _forward),
    _registered(press, _press),
    _registered(slopes, _slopes),
    _registered(back, _back_of),
    _registered(spread, _spread_of),
    _registered(close, _close),
)
