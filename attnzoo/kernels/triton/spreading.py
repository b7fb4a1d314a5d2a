"""The last backward pass: the gradient of x from every use of it, written once."""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,import-untyped"

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from attnzoo.kernels.triton import channels_last
from attnzoo.kernels.triton.kept import Kept
from attnzoo.kernels.triton.launching import Form, Launch, like
from attnzoo.kernels.triton.tiles import box, locate, spots, strip, tile


class Returned(NamedTuple):
    """What the small maths gives, float32.

    slope: (2, B, C), y's gradient through mean and variance: that at the mean, and what it grows by from there on.
    rows: (B, C, H), the gradient of the sums of rows; columns: (B, C, W); corners: (B, C, 2, 2), of the corners.
    """

    slope: Tensor
    rows: Tensor
    columns: Tensor
    corners: Tensor


HELD = 512  # values at a time: a program holds fifteen of each


@triton.jit
def spread_kernel(
    x, h, w, grad, factor, push, taps, scale, slope, mean, rows, columns, corners, out, on_taps,
    batch, channels, height, width, step_b, step_c, step_h, step_w, grad_b, grad_c, grad_h, grad_w,
    factor_b, factor_c, factor_h, factor_w, push_b, push_c, push_h, push_w, out_b, out_c, out_h, out_w, group,
    tile_c: tl.constexpr, tile_h: tl.constexpr, tile_w: tl.constexpr, span: tl.constexpr,
):  # fmt: skip
    """What comes back through x · σ(m), m, the mean and variance of y, and the sums of rows, columns and windows."""
    sample, channel, tall, wide = locate(channels, height, width, tile_c, span, tile_w)
    left_c, left_w, from_w = channels - channel, width - wide * tile_w, wide.to(tl.int64) * tile_w
    first = sample.to(tl.int64) * channels + channel
    sample, at = sample.to(tl.int64), channel.to(tl.int64)
    c = tl.arange(0, tile_c)
    there, group_0 = c < left_c, channel // group  # the first channel's, which may lie far; the others' are next to it
    of = (channel + c) // group - group_0
    out += sample * out_b + at * out_c + from_w * out_w
    outs = spots(tile_c, tile_h, tile_w, out_c, out_h, out_w)
    column = wide * tile_w + tl.arange(0, tile_w)[None, None, :]
    x += sample * step_b + at * step_c + from_w * step_w
    offsets = spots(tile_c, tile_h, tile_w, step_c, step_h, step_w)
    beside = strip(w + first * width + from_w, tile_c, tile_w, left_c, left_w, width)[:, None, :]
    grad += sample * grad_b + at * grad_c + from_w * grad_w
    grads = spots(tile_c, tile_h, tile_w, grad_c, grad_h, grad_w)
    factor += sample * factor_b + group_0.to(tl.int64) * factor_c + from_w * factor_w
    factors = spots(tile_c, tile_h, tile_w, 0, factor_h, factor_w) + of[:, None, None] * factor_c
    push += sample * push_b + group_0.to(tl.int64) * push_c + from_w * push_w
    pushes = spots(tile_c, tile_h, tile_w, 0, push_h, push_w) + of[:, None, None] * push_c
    gain = tl.load(scale + first + c, mask=there, other=0.0)[:, None, None]
    tap = taps + (channel + c) % group * 9
    tap_0 = tl.load(tap, mask=there, other=0.0)[:, None, None]
    tap_1 = tl.load(tap + 1, mask=there, other=0.0)[:, None, None]
    tap_2 = tl.load(tap + 2, mask=there, other=0.0)[:, None, None]
    tap_3 = tl.load(tap + 3, mask=there, other=0.0)[:, None, None]
    tap_4 = tl.load(tap + 4, mask=there, other=0.0)[:, None, None]
    tap_5 = tl.load(tap + 5, mask=there, other=0.0)[:, None, None]
    tap_6 = tl.load(tap + 6, mask=there, other=0.0)[:, None, None]
    tap_7 = tl.load(tap + 7, mask=there, other=0.0)[:, None, None]
    tap_8 = tl.load(tap + 8, mask=there, other=0.0)[:, None, None]
    on_0 = tl.zeros([tile_c, tile_h, tile_w], tl.float32)
    on_1, on_2, on_3, on_4, on_5, on_6, on_7, on_8 = on_0, on_0, on_0, on_0, on_0, on_0, on_0, on_0
    level = tl.load(slope + first + c, mask=there, other=0.0)[:, None, None]
    lean = tl.load(slope + tl.cast(batch, tl.int64) * channels + first + c, mask=there, other=0.0)[:, None, None]
    middle = tl.load(mean + first + c, mask=there, other=0.0)[:, None, None]
    each_column = strip(columns + first * width + from_w, tile_c, tile_w, left_c, left_w, width)[:, None, :]
    corner = corners + (first + c) * 4
    corner_0 = tl.load(corner, mask=there, other=0.0)[:, None, None]
    corner_1 = tl.load(corner + 1, mask=there, other=0.0)[:, None, None]
    corner_2 = tl.load(corner + 2, mask=there, other=0.0)[:, None, None]
    corner_3 = tl.load(corner + 3, mask=there, other=0.0)[:, None, None]
    for top in range(tall * span, tl.minimum(tall * span + span, height), tile_h):
        inside, step = box(tile_c, tile_h, tile_w, left_c, height - top, left_w), tl.cast(top, tl.int64)
        row = top + tl.arange(0, tile_h)[None, :, None]
        value = tl.load(x + step * step_h + offsets, mask=inside, other=0.0).to(tl.float32)
        above = strip(h + first * height + top, tile_c, tile_h, left_c, height - top, height)[:, :, None]
        through = level + lean * (value * above * beside - middle)  # the gradient of y
        pull = tl.load(grad + step * grad_h + grads, mask=inside, other=0.0).to(tl.float32)
        mapped = tl.load(factor + step * factor_h + factors, mask=inside, other=0.0).to(tl.float32)
        total = pull * mapped
        # tap (u, v) looked from the place at (1 − u, 1 − v) to here
        to = push + step * push_h + pushes
        no_0, no_2 = inside & (row < height - 1), inside & (row > 0)
        not_0, not_2 = column < width - 1, column > 0
        near = tl.load(to + push_h + push_w, mask=no_0 & not_0, other=0.0)
        total, on_0 = total + tap_0 * near, on_0 + value * near
        near = tl.load(to + push_h, mask=no_0, other=0.0)
        total, on_1 = total + tap_1 * near, on_1 + value * near
        near = tl.load(to + push_h - push_w, mask=no_0 & not_2, other=0.0)
        total, on_2 = total + tap_2 * near, on_2 + value * near
        near = tl.load(to + push_w, mask=inside & not_0, other=0.0)
        total, on_3 = total + tap_3 * near, on_3 + value * near
        near = tl.load(to, mask=inside, other=0.0)
        total, on_4 = total + tap_4 * near, on_4 + value * near
        through += gain * near
        near = tl.load(to - push_w, mask=inside & not_2, other=0.0)
        total, on_5 = total + tap_5 * near, on_5 + value * near
        near = tl.load(to - push_h + push_w, mask=no_2 & not_0, other=0.0)
        total, on_6 = total + tap_6 * near, on_6 + value * near
        near = tl.load(to - push_h, mask=no_2, other=0.0)
        total, on_7 = total + tap_7 * near, on_7 + value * near
        near = tl.load(to - push_h - push_w, mask=no_2 & not_2, other=0.0)
        total, on_8 = total + tap_8 * near, on_8 + value * near
        total += through * above * beside
        each_row = strip(rows + first * height + top, tile_c, tile_h, left_c, height - top, height)[:, :, None]
        total += each_row + each_column
        total += tl.where((row == 0) & (column == 0), corner_0, 0.0)
        total += tl.where((row == 0) & (column == width - 1), corner_1, 0.0)
        total += tl.where((row == height - 1) & (column == 0), corner_2, 0.0)
        total += tl.where((row == height - 1) & (column == width - 1), corner_3, 0.0)
        tl.store(out + step * out_h + outs, total, mask=inside)
    piece = (tall * tl.cdiv(width, tile_w) + wide).to(tl.int64) * batch * channels + first
    to = on_taps + (piece + c) * 9
    tl.store(to, tl.sum(tl.sum(on_0, 2), 1), mask=there)
    tl.store(to + 1, tl.sum(tl.sum(on_1, 2), 1), mask=there)
    tl.store(to + 2, tl.sum(tl.sum(on_2, 2), 1), mask=there)
    tl.store(to + 3, tl.sum(tl.sum(on_3, 2), 1), mask=there)
    tl.store(to + 4, tl.sum(tl.sum(on_4, 2), 1), mask=there)
    tl.store(to + 5, tl.sum(tl.sum(on_5, 2), 1), mask=there)
    tl.store(to + 6, tl.sum(tl.sum(on_6, 2), 1), mask=there)
    tl.store(to + 7, tl.sum(tl.sum(on_7, 2), 1), mask=there)
    tl.store(to + 8, tl.sum(tl.sum(on_8, 2), 1), mask=there)


class Spread:
    """The gradients of x, as it lies in memory, and of the taps, (c, 3, 3).

    Args:
        x: The map's form.
        groups: How many.
        grad: Of the gradient of EMA's output.
        push: Of m's gradient, (B, G, H, W); that of σ(m) lies alike.
    """

    def __init__(self, x: Form, groups: int, grad: Form, push: Form) -> None:
        batch, channels, height, width = x.shape
        group, out = channels // groups, like(x)
        if channels_last.serves(x, groups):
            self._launch, pieces = channels_last.spreading(x, groups, grad, push, out)
        else:
            cut = tile(x, HELD // 2 if x.lies_in_channels else HELD)  # places apart in memory cost registers
            pieces = cut.down(height) * cut.along(width)
            self._launch = Launch(
                spread_kernel, cut.programs(x), *x.shape, *x.strides, *grad.strides, *push.strides, *push.strides,
                *out.strides, group, *cut, **cut.options,
            )  # fmt: skip
        self._on_taps = (pieces * batch * groups, group, 3, 3)

    def __call__(
        self, x: Tensor, grad: Tensor, factor: Tensor, push: Tensor, kept: Kept, small: Returned
    ) -> tuple[Tensor, Tensor]:
        out, on_taps = torch.empty_like(x), x.new_empty(self._on_taps, dtype=torch.float32)
        self._launch(
            x, kept.h, kept.w, grad, factor, push, kept.taps, kept.scale, small.slope, kept.mean, small.rows,
            small.columns, small.corners, out, on_taps,
        )  # fmt: skip
        return out, on_taps.sum(0)
