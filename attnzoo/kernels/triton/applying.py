"""The last forward pass, x · σ(m), and the first of the backward pass, which finds the gradient of m."""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,import-untyped"

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from attnzoo.kernels.triton import channels_last, tiles
from attnzoo.kernels.triton.kept import Kept
from attnzoo.kernels.triton.launching import Form, Launch, like, new
from attnzoo.kernels.triton.tiles import options, pieces, power

HELD = 2048  # values of x that a program holds at a time: thrice, as its neighbours to the left and right come along
COLUMNS = 256  # of a row that it holds at most, where those lie next to each other in memory
DEEP = 8  # rows in turn, each read once for the three rows that it is a neighbour of


class Group(NamedTuple):
    """Groups × channels × rows × columns that a program holds at a time; each of its rows walks `deep` rows down."""

    groups: int
    channels: int
    rows: int
    columns: int
    deep: int


def group(x: Form, groups: int) -> Group:
    """The piece for a pass that sums over a group's channels; smaller where the map gives few programs."""
    batch, channels, height, width = x.shape
    each, held = channels // groups, HELD
    # a channel at a time: a sum over channels that several warps hold would go through shared memory
    beside, side, columns = 1, 1, COLUMNS
    if x.lies_in_channels:
        held //= 2  # places apart in memory cost registers
        beside = min(power(each), held, tiles.SIDE)
        side, columns = min(max(1, min(held, tiles.SIDE) // beside), power(groups)), tiles.SIDE
    columns = min(max(1, held // (beside * side)), columns, power(width))
    rows = min(max(1, held // (beside * side * columns)), power(height))
    deep = min(DEEP, power(pieces(height, rows)))
    strips = batch * pieces(groups, side) * pieces(width, columns)
    while strips * pieces(height, rows * deep) < tiles.PROGRAMS and rows * deep > 1:
        rows, deep = (rows, deep // 2) if deep > 1 else (rows // 2, 1)
    return Group(side, beside, rows, columns, deep)


@triton.jit
def apply_kernel(
    x, taps, scale, mean, h, w, offset, grad, out, factor, sums, batch, groups, each, height, width,
    step_b, step_c, step_h, step_w, grad_b, grad_c, grad_h, grad_w, out_b, out_c, out_h, out_w,
    factor_b, factor_c, factor_h, factor_w,
    backward: tl.constexpr, tile_g: tl.constexpr, tile_c: tl.constexpr, tile_h: tl.constexpr, tile_w: tl.constexpr,
    deep: tl.constexpr,
):  # fmt: skip
    """m = Σ_c taps ∗ x + Σ_c scale·(x·h·w − mean) + offset; forward, out = x · σ(m); backward, σ'(m) · Σ_c grad·x.

    Backward, σ(m) goes to `factor` and this piece's sum of what `out` gets to `sums`, (pieces, B, G).

    A program walks down `deep` rows at `tile_h` places at once. Each row of x that it meets is the lowest neighbour of
    one row of m, which that completes, the middle of the next, and the uppermost of the one after.
    """
    sample, group, tall, wide = tiles.locate(groups, height, width, tile_g, tile_h * deep, tile_w)
    sample = sample.to(tl.int64)
    g, k = tl.arange(0, tile_g), tl.arange(0, tile_c)
    row_0, column = tall * tile_h * deep + tl.arange(0, tile_h) * deep, wide * tile_w + tl.arange(0, tile_w)
    far = column.to(tl.int64)
    left_g = groups - group
    first = (sample * groups + group) * each  # of the channels of this sample and these groups
    x += sample * step_b + (group * each).to(tl.int64) * step_c
    grad += sample * grad_b + (group * each).to(tl.int64) * grad_c
    out += sample * out_b + (group if backward else group * each).to(tl.int64) * out_c
    factor += sample * factor_b + group.to(tl.int64) * factor_c
    bias = tl.load(offset + sample * groups + group + g, mask=g < left_g, other=0.0)[:, None, None]
    on_w = (column < width)[None, None, None, :]
    along, along_grad = (far * step_w)[None, None, None, :], (far * grad_w)[None, None, None, :]
    pushed = tl.zeros([tile_g, tile_h, tile_w], tl.float32)
    above = tl.zeros([tile_g, tile_h, tile_w], tl.float32)
    middle = tl.zeros([tile_g, tile_h, tile_w], tl.float32)
    for turn in range(deep + 2):
        row = row_0 + turn - 1
        down = (row.to(tl.int64) * step_h)[None, None, :, None]
        on_h = ((row >= 0) & (row < height))[None, None, :, None]
        done, under, below = above, middle, tl.zeros([tile_g, tile_h, tile_w], tl.float32)
        for start in range(0, each, tile_c):
            there = (g < left_g)[:, None] & (start + k < each)[None, :]
            channel = g[:, None] * each + start + k[None, :]
            place = x + (channel.to(tl.int64) * step_c)[:, :, None, None] + down + along
            seen = there[:, :, None, None] & on_h & on_w
            left = tl.load(place - step_w, mask=seen & (column > 0)[None, None, None, :], other=0.0).to(tl.float32)
            centre = tl.load(place, mask=seen, other=0.0).to(tl.float32)
            right = tl.load(place + step_w, mask=seen & (column < width - 1)[None, None, None, :], other=0.0)
            right = right.to(tl.float32)
            done += tl.sum(row_of_taps(taps, 2, start + k, each, left, centre, right), 1)
            gain = tl.load(scale + first + channel, mask=there, other=0.0)[:, :, None, None]
            to_h = h + ((first + channel) * height)[:, :, None] + row
            over = tl.load(to_h, mask=there[:, :, None] & (row >= 0) & (row < height), other=0.0)[:, :, :, None]
            to_w = w + ((first + channel) * width)[:, :, None] + column
            beside = tl.load(to_w, mask=there[:, :, None] & (column < width), other=0.0)[:, :, None, :]
            level = tl.load(mean + first + channel, mask=there, other=0.0)[:, :, None, None]
            y = centre * over * beside - level  # multiplied in the order of `moments`: they may cancel
            under += tl.sum(row_of_taps(taps, 1, start + k, each, left, centre, right) + gain * y, 1)
            below += tl.sum(row_of_taps(taps, 0, start + k, each, left, centre, right), 1)
        above, middle = under, below
        if turn >= 2:
            row -= 1
            down = (row.to(tl.int64) * step_h)[None, None, :, None]
            down_grad = (row.to(tl.int64) * grad_h)[None, None, :, None]
            seen = (g < left_g)[:, None, None] & (row < height)[None, :, None] & (column < width)[None, None, :]
            mapped = tl.sigmoid(done + bias)
            to = g[:, None, None] * factor_c + (row.to(tl.int64) * factor_h)[None, :, None] + far * factor_w
            press = tl.zeros([tile_g, tile_h, tile_w], tl.float32)
            for start in range(0, each, tile_c):
                channel = (g[:, None] * each + start + k[None, :]).to(tl.int64)[:, :, None, None]
                both = seen[:, None, :, :] & (start + k < each)[None, :, None, None]
                value = tl.load(x + channel * step_c + down + along, mask=both, other=0.0).to(tl.float32)
                if backward:
                    pull = tl.load(grad + channel * grad_c + down_grad + along_grad, mask=both, other=0.0)
                    press += tl.sum(value * pull.to(tl.float32), 1)
                else:
                    result = out + channel * out_c + (row.to(tl.int64) * out_h)[None, None, :, None]
                    result += (far * out_w)[None, None, None, :]
                    tl.store(result, value * mapped[:, None, :, :], mask=both)
            if backward:
                tl.store(factor + to, mapped, mask=seen)
                result = out + g[:, None, None] * out_c + (row.to(tl.int64) * out_h)[None, :, None] + far * out_w
                press *= mapped * (1 - mapped)
                tl.store(result, press, mask=seen)
                pushed += press
    if backward:
        piece = (tall * tl.cdiv(width, tile_w) + wide).to(tl.int64) * batch * groups + sample * groups + group
        tl.store(sums + piece + g, tl.sum(tl.sum(pushed, 2), 1), mask=g < left_g)


@triton.jit
def row_of_taps(taps, row: tl.constexpr, channel, each, left, centre, right):
    """What a row of each channel's 3×3 taps makes of a row of x."""
    at = taps + channel * 9 + row * 3
    first = tl.load(at, mask=channel < each, other=0.0)[None, :, None, None]
    second = tl.load(at + 1, mask=channel < each, other=0.0)[None, :, None, None]
    third = tl.load(at + 2, mask=channel < each, other=0.0)[None, :, None, None]
    return first * left + second * centre + third * right


class Apply:
    """x · σ(m), as x lies in memory."""

    def __init__(self, x: Form, groups: int) -> None:
        out = like(x)
        self._launch, _ = _launch(x, groups, x, out, out, backward=False)

    def __call__(self, x: Tensor, kept: Kept) -> Tensor:
        out = torch.empty_like(x)
        self._launch(x, *_read(kept), x, out, out, out)
        return out


class Press:
    """m's gradient, float32, and σ(m), as x's type, both (B, G, H, W); and the sums of the first, (pieces, B, G)."""

    def __init__(self, x: Form, groups: int, grad: Form) -> None:
        batch, _, height, width = x.shape
        # groups lie in memory as x's channels do
        self._layout = torch.channels_last if x.lies_in_channels else torch.contiguous_format
        self._size = batch, groups, height, width
        self.push, factor = (new(x, self._size, dtype, self._layout) for dtype in (torch.float32, x.dtype))
        self._launch, self.pieces = _launch(x, groups, grad, self.push, factor, backward=True)
        self._sums = self.pieces, batch, groups

    def __call__(self, x: Tensor, kept: Kept, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        push = torch.empty(self._size, dtype=torch.float32, device=x.device, memory_format=self._layout)
        factor = torch.empty(self._size, dtype=x.dtype, device=x.device, memory_format=self._layout)
        sums = x.new_empty(self._sums, dtype=torch.float32)
        self._launch(x, *_read(kept), grad, push, factor, sums)
        return push, factor, sums


def _read(kept: Kept) -> tuple[Tensor, ...]:
    return kept.taps, kept.scale, kept.mean, kept.h, kept.w, kept.offset


def _launch(x: Form, groups: int, grad: Form, out: Form, factor: Form, *, backward: bool) -> tuple[Launch, int]:
    """And how many pieces the sums come in."""
    if channels_last.serves(x, groups):
        return channels_last.applying(x, groups, grad, out, factor, backward=backward)
    batch, channels, height, width = x.shape
    cut = group(x, groups)
    sums = pieces(height, cut.rows * cut.deep) * pieces(width, cut.columns)
    launch = Launch(
        apply_kernel, batch * pieces(groups, cut.groups) * sums, batch, groups, channels // groups, height, width,
        *x.strides, *grad.strides, *out.strides, *factor.strides, backward, *cut,
        **options(cut.groups * cut.channels * cut.rows * cut.columns),
    )  # fmt: skip
    return launch, sums
