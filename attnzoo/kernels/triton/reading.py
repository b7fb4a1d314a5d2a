"""Passes that read x once and leave sums: rows and columns, mean and variance, and what the backward pass needs."""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,import-untyped"

import torch
import triton
import triton.language as tl
from torch import Tensor

from attnzoo.kernels.triton.launching import Form, Launch
from attnzoo.kernels.triton.tiles import box, locate, spots, strip, tile

HELD = 2048  # values at a time for `moments` and `slopes`, which hold thrice as much of each as `strips`


@triton.jit
def strips_kernel(
    x, rows, columns, batch, channels, height, width, step_b, step_c, step_h, step_w,
    tile_c: tl.constexpr, tile_h: tl.constexpr, tile_w: tl.constexpr, span: tl.constexpr,
):  # fmt: skip
    """Sums of rows over this piece's columns, and of columns over this piece's rows."""
    sample, channel, tall, wide = locate(channels, height, width, tile_c, span, tile_w)
    left_c, left_w = channels - channel, width - wide * tile_w
    x += sample.to(tl.int64) * step_b + channel.to(tl.int64) * step_c + wide.to(tl.int64) * tile_w * step_w
    rows += ((wide.to(tl.int64) * batch + sample) * channels + channel) * height
    columns += ((tall.to(tl.int64) * batch + sample) * channels + channel) * width + wide * tile_w
    c = tl.arange(0, tile_c)[:, None]
    down, along = tl.arange(0, tile_h)[None, :], tl.arange(0, tile_w)[None, :]
    offsets = spots(tile_c, tile_h, tile_w, step_c, step_h, step_w)
    total = tl.zeros([tile_c, tile_w], tl.float32)
    for top in range(tall * span, tl.minimum(tall * span + span, height), tile_h):
        inside = box(tile_c, tile_h, tile_w, left_c, height - top, left_w)
        value = tl.load(x + tl.cast(top, tl.int64) * step_h + offsets, mask=inside, other=0.0).to(tl.float32)
        tl.store(rows + c * height + top + down, tl.sum(value, 2), mask=(c < left_c) & (down < height - top))
        total += tl.sum(value, 1)
    tl.store(columns + c * width + along, total, mask=(c < left_c) & (along < left_w))


class Strips:
    """Sums of the rows (pieces, B, C, H) and of the columns (pieces, B, C, W), to be summed over the pieces."""

    def __init__(self, x: Form) -> None:
        batch, channels, height, width = x.shape
        cut = tile(x)
        self.pieces = cut.along(width), cut.down(height)
        self._rows, self._columns = (self.pieces[0], batch, channels, height), (self.pieces[1], batch, channels, width)
        self._launch = Launch(strips_kernel, cut.programs(x), *x.shape, *x.strides, *cut, **cut.options)

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        rows = x.new_empty(self._rows, dtype=torch.float32)
        columns = x.new_empty(self._columns, dtype=torch.float32)
        self._launch(x, rows, columns)
        return rows, columns


@triton.jit
def moments_kernel(
    x, h, w, partial, batch, channels, height, width, step_b, step_c, step_h, step_w,
    tile_c: tl.constexpr, tile_h: tl.constexpr, tile_w: tl.constexpr, span: tl.constexpr,
):  # fmt: skip
    """Mean of y = x·h·w over this piece, the sum of squares about that mean, and how many values it has.

    Welford's rule down the piece, at every place that a thread holds, and Chan's between them: never a difference of
    large squares, and nothing passes between threads before the end.
    """
    sample, channel, tall, wide = locate(channels, height, width, tile_c, span, tile_w)
    left_c, left_w = channels - channel, width - wide * tile_w
    x += sample.to(tl.int64) * step_b + channel.to(tl.int64) * step_c + wide.to(tl.int64) * tile_w * step_w
    first = sample.to(tl.int64) * channels + channel
    beside = strip(w + first * width + wide * tile_w, tile_c, tile_w, left_c, left_w, width)[:, None, :]
    offsets = spots(tile_c, tile_h, tile_w, step_c, step_h, step_w)
    start, left_h = tall * span, tl.minimum(span, height - tall * span)
    mean = tl.zeros([tile_c, tile_h, tile_w], tl.float32)
    squares = tl.zeros([tile_c, tile_h, tile_w], tl.float32)
    for top in range(start, start + left_h, tile_h):
        inside = box(tile_c, tile_h, tile_w, left_c, height - top, left_w)
        value = tl.load(x + tl.cast(top, tl.int64) * step_h + offsets, mask=inside, other=0.0).to(tl.float32)
        above = strip(h + first * height + top, tile_c, tile_h, left_c, height - top, height)[:, :, None]
        value = value * above * beside  # in this order everywhere: y less its mean is nothing where all y are equal
        apart = tl.where(inside, value - mean, 0.0)
        mean += apart * (1.0 / ((top - start) // tile_h + 1))
        squares += apart * (value - mean)
    down, along = tl.arange(0, tile_h), tl.arange(0, tile_w)
    held = ((left_h - down + tile_h - 1) // tile_h)[:, None]
    held = tl.where((down < left_h)[:, None] & (along < left_w)[None, :], held, 0).to(tl.float32)[None, :, :]
    count = (left_h * tl.minimum(tile_w, left_w)).to(tl.float32)
    level = tl.sum(tl.sum(mean * held, 2), 1) / count
    apart = mean - level[:, None, None]
    total = tl.sum(tl.sum(squares + held * apart * apart, 2), 1)
    pieces = tl.cdiv(height, span) * tl.cdiv(width, tile_w)
    c = tl.arange(0, tile_c)
    partial += (tall * tl.cdiv(width, tile_w) + wide).to(tl.int64) * batch * channels + first + c
    step = tl.cast(pieces, tl.int64) * batch * channels
    tl.store(partial, level, mask=c < left_c)
    tl.store(partial + step, total, mask=c < left_c)
    tl.store(partial + 2 * step, tl.zeros([tile_c], tl.float32) + count, mask=c < left_c)


class Moments:
    """Means of y's pieces, squares about them and counts, (3, pieces, B, C): of x, h (B, C, H) and w (B, C, W)."""

    def __init__(self, x: Form) -> None:
        batch, channels, height, width = x.shape
        cut = tile(x, HELD)
        self.pieces = cut.down(height) * cut.along(width)
        self._partial = (3, self.pieces, batch, channels)
        self._launch = Launch(moments_kernel, cut.programs(x), *x.shape, *x.strides, *cut, **cut.options)

    def __call__(self, x: Tensor, h: Tensor, w: Tensor) -> Tensor:
        partial = x.new_empty(self._partial, dtype=torch.float32)
        self._launch(x, h, w, partial)
        return partial


@triton.jit
def slopes_kernel(
    x, h, w, push, mean, rows, columns, batch, channels, height, width, step_b, step_c, step_h, step_w,
    push_b, push_g, push_h, push_w, group,
    tile_c: tl.constexpr, tile_h: tl.constexpr, tile_w: tl.constexpr, span: tl.constexpr,
):  # fmt: skip
    """Row sums of q·w and column sums of q·h over this piece, for q = `push`·x, x, and (y − mean)·x."""
    sample, channel, tall, wide = locate(channels, height, width, tile_c, span, tile_w)
    left_c, left_w = channels - channel, width - wide * tile_w
    x += sample.to(tl.int64) * step_b + channel.to(tl.int64) * step_c + wide.to(tl.int64) * tile_w * step_w
    first = sample.to(tl.int64) * channels + channel
    beside = strip(w + first * width + wide * tile_w, tile_c, tile_w, left_c, left_w, width)[:, None, :]
    rows += (wide.to(tl.int64) * batch * channels + first) * height
    columns += (tall.to(tl.int64) * batch * channels + first) * width + wide * tile_w
    per_row = tl.cast(tl.cdiv(width, tile_w), tl.int64) * batch * channels * height
    per_column = tl.cast(tl.cdiv(height, span), tl.int64) * batch * channels * width
    c = tl.arange(0, tile_c)
    down, along = tl.arange(0, tile_h)[None, :], tl.arange(0, tile_w)[None, :]
    offsets = spots(tile_c, tile_h, tile_w, step_c, step_h, step_w)
    middle = tl.load(mean + first + c, mask=c < left_c, other=0.0)[:, None, None]
    of = channel // group  # the first channel's group, which may lie far; the others' are next to it
    push += sample.to(tl.int64) * push_b + of.to(tl.int64) * push_g + wide.to(tl.int64) * tile_w * push_w
    pushes = spots(tile_c, tile_h, tile_w, 0, push_h, push_w) + ((channel + c) // group - of)[:, None, None] * push_g
    total_0 = tl.zeros([tile_c, tile_w], tl.float32)
    total_1 = tl.zeros([tile_c, tile_w], tl.float32)
    total_2 = tl.zeros([tile_c, tile_w], tl.float32)
    for top in range(tall * span, tl.minimum(tall * span + span, height), tile_h):
        inside = box(tile_c, tile_h, tile_w, left_c, height - top, left_w)
        value = tl.load(x + tl.cast(top, tl.int64) * step_h + offsets, mask=inside, other=0.0).to(tl.float32)
        pressed = value * tl.load(push + tl.cast(top, tl.int64) * push_h + pushes, mask=inside, other=0.0)
        above = strip(h + first * height + top, tile_c, tile_h, left_c, height - top, height)[:, :, None]
        apart = tl.where(inside, value * above * beside - middle, 0.0) * value
        row, there = rows + c[:, None] * height + top + down, (c < left_c)[:, None] & (down < height - top)
        tl.store(row, tl.sum(pressed * beside, 2), mask=there)
        tl.store(row + per_row, tl.sum(value * beside, 2), mask=there)
        tl.store(row + 2 * per_row, tl.sum(apart * beside, 2), mask=there)
        total_0 += tl.sum(pressed * above, 1)
        total_1 += tl.sum(value * above, 1)
        total_2 += tl.sum(apart * above, 1)
    column, there = columns + c[:, None] * width + along, (c < left_c)[:, None] & (along < left_w)
    tl.store(column, total_0, mask=there)
    tl.store(column + per_column, total_1, mask=there)
    tl.store(column + 2 * per_column, total_2, mask=there)


class Slopes:
    """What the gradients of h and w are made of, in pieces: (3, pieces, B, C, H) and (3, pieces, B, C, W).

    Sums of q·w over rows and of q·h over columns, for q = push·x, x, and (y − mean)·x.

    Args:
        x: The map's form.
        push: Of the gradient of the sigmoid's argument, (B, G, H, W).
    """

    def __init__(self, x: Form, push: Form) -> None:
        batch, channels, height, width = x.shape
        cut = tile(x, HELD // 2 if x.lies_in_channels else HELD)  # places apart in memory cost registers
        self.pieces = cut.along(width), cut.down(height)
        self._rows = (3, self.pieces[0], batch, channels, height)
        self._columns = (3, self.pieces[1], batch, channels, width)
        self._launch = Launch(
            slopes_kernel, cut.programs(x), *x.shape, *x.strides, *push.strides, channels // push.shape[1], *cut,
            **cut.options,
        )  # fmt: skip

    def __call__(self, x: Tensor, h: Tensor, w: Tensor, push: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
        rows = x.new_empty(self._rows, dtype=torch.float32)
        columns = x.new_empty(self._columns, dtype=torch.float32)
        self._launch(x, h, w, push, mean, rows, columns)
        return rows, columns
