"""All of EMA's forward pass in one launch: a program takes a group of a sample from its first sum to its last product.

So a group is read from memory once and from the cache after that, and a small map costs one launch and not five. What
the passes hand on stands in `Kept`, in memory that the program itself has just written: `debug_barrier` is what makes
its threads see that.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,import-untyped"

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from attnzoo.kernels.ema import Weights
from attnzoo.kernels.triton.kept import Kept
from attnzoo.kernels.triton.launching import Form, Launch, Strides, like
from attnzoo.kernels.triton.tiles import power, strip

LARGEST = 2**16  # numbers of a group: one program over more takes longer than five launches of many
MANY = 128  # programs: a GPU that fewer leave idle is faster with five launches of more
MIXED = 2**14  # a group's channels, squared, by positions: what the 1×1 convolution holds at a time
HELD = 2048  # numbers of a channel at a time
EACH = 8  # of them for each thread
LANES = 128  # columns that a warp holds, four a thread: within a warp sums are shifted, beyond it they are read anew


class Cut(NamedTuple):
    """Rows × columns of a channel at a time, and the warps that hold them."""

    rows: int
    columns: int
    warps: int


def serves(x: Form, groups: int) -> bool:
    """Whether a program can take a group, and it pays (as tried on an H200)."""
    each, (height, width) = x.shape[1] // groups, x.shape[2:]
    far = sum((length - 1) * step for length, step in zip((each, height, width), x.strides[1:], strict=True))
    return (
        x.shape[0] * groups >= MANY
        and power(each) * power(height) * power(width) <= LARGEST
        and power(each) ** 2 * power(max(height, width)) <= MIXED
        and power(width) <= HELD
        and far < 2**31
        and not x.lies_in_channels
    )


def cut(x: Form) -> Cut:
    """How a channel is held."""
    columns = power(x.shape[3])
    rows = min(max(1, HELD // columns), power(x.shape[2]))
    return Cut(rows, columns, max(4, rows * columns // (32 * EACH)))


@triton.jit
def single_kernel(
    x, conv1, bias1, gamma, beta, conv3, bias3, out, h, w, rows, columns, logits, mean, variance, scale, offset, taps,
    groups, each, height, width, step_b, step_c, step_h, step_w, out_b, out_c, out_h, out_w,
    conv1_o, conv1_i, conv3_o, conv3_i, conv3_u, conv3_v, eps,
    tile_c: tl.constexpr, tile_h: tl.constexpr, tile_w: tl.constexpr, all_h: tl.constexpr, lanes: tl.constexpr,
):  # fmt: skip
    """Sums of rows and columns; gates, and the 3×3 convolution's means; mean and variance of y; x · σ(m)."""
    here = tl.program_id(0).to(tl.int64)
    sample, group, first = here // groups, here % groups, here * each
    x += sample * step_b + group * each * step_c
    out += sample * out_b + group * each * out_c
    rows, columns, h, w = rows + first * height, columns + first * width, h + first * height, w + first * width
    logits, mean, variance, scale = logits + first, mean + first, variance + first, scale + first
    add(x, rows, columns, each, height, width, step_c, step_h, step_w, tile_h, tile_w)
    tl.debug_barrier()
    constant = judge(
        x, rows, columns, conv1, bias1, beta, conv3, bias3, h, w, logits, scale, taps, each, height, width,
        step_c, step_h, step_w, conv1_o, conv1_i, conv3_o, conv3_i, conv3_u, conv3_v, tile_c, tile_w, all_h,
    )  # fmt: skip
    tl.store(offset + here, constant)
    tl.debug_barrier()
    spread(x, h, w, gamma, mean, variance, scale, each, height, width, step_c, step_h, step_w, eps, tile_h, tile_w)
    tl.debug_barrier()
    column = tl.arange(0, tile_w)
    for top in range(0, height, tile_h):
        row = top + tl.arange(0, tile_h)
        mapped = look(
            x, h, w, taps, scale, mean, each, height, width, step_c, step_h, step_w, row, column, tile_h, tile_w, lanes
        )
        factor = tl.sigmoid(mapped + constant)
        inside = (row < height)[:, None] & (column < width)[None, :]
        place, to = row[:, None] * step_h + column[None, :] * step_w, row[:, None] * out_h + column[None, :] * out_w
        for k in range(each):
            value = tl.load(x + k * step_c + place, mask=inside, other=0.0).to(tl.float32)
            tl.store(out + k * out_c + to, value * factor, mask=inside)


@triton.jit
def add(
    x, rows, columns, each, height, width, step_c, step_h, step_w, tile_h: tl.constexpr, tile_w: tl.constexpr
):  # fmt: skip
    """Sums of each channel's rows and columns."""
    down, along = tl.arange(0, tile_h), tl.arange(0, tile_w)
    places = down[:, None] * step_h + along[None, :] * step_w
    for k in range(each):
        total = tl.zeros([tile_h, tile_w], tl.float32)
        for top in range(0, height, tile_h):
            inside = (down < height - top)[:, None] & (along < width)[None, :]
            value = tl.load(x + k * step_c + top * step_h + places, mask=inside, other=0.0).to(tl.float32)
            tl.store(rows + k * height + top + down, tl.sum(value, 1), mask=down < height - top)
            total += value
        tl.store(columns + k * width + along, tl.sum(total, 0), mask=along < width)


@triton.jit
def judge(
    x, rows, columns, conv1, bias1, beta, conv3, bias3, h, w, logits, share, taps, each, height, width,
    step_c, step_h, step_w, conv1_o, conv1_i, conv3_o, conv3_i, conv3_u, conv3_v,
    tile_c: tl.constexpr, tile_w: tl.constexpr, all_h: tl.constexpr,
):  # fmt: skip
    """Gates; the second branch's weights, left in `share`, and its logits; taps of the map; and the map's constant."""
    c, i, along, down = tl.arange(0, tile_c), tl.arange(0, tile_c), tl.arange(0, tile_w), tl.arange(0, all_h)
    on_c, on_i = c < each, i < each
    mix = tl.load(conv1 + c[:, None] * conv1_o + i[None, :] * conv1_i, mask=on_c[:, None] & on_i[None, :], other=0.0)
    mix, bias = mix.to(tl.float32), tl.load(bias1 + c, mask=on_c, other=0.0).to(tl.float32)
    line = strip(rows, tile_c, all_h, each, height, height)
    opened = tl.sigmoid(tl.sum(mix[:, :, None] * (line / width)[None, :, :], 1) + bias[:, None])
    tl.store(h + c[:, None] * height + down[None, :], opened, mask=on_c[:, None] & (down < height)[None, :])
    whole = tl.sum(line, 1)
    line = strip(columns, tile_c, tile_w, each, width, width)
    opened = tl.sigmoid(tl.sum(mix[:, :, None] * (line / height)[None, :, :], 1) + bias[:, None])
    tl.store(w + c[:, None] * width + along[None, :], opened, mask=on_c[:, None] & (along < width)[None, :])
    seen = windows(x, rows, columns, whole, each, height, width, step_c, step_h, step_w, tile_c)
    t = tl.arange(0, 16)[None, :]
    known, up, left = on_i[:, None] & (t < 9), t // 3, t % 3
    place = c[:, None, None] * conv3_o + (i[:, None] * conv3_i + up * conv3_u + left * conv3_v)[None, :, :]
    pairs = tl.load(conv3 + place, mask=on_c[:, None, None] & known[None, :, :], other=0.0).to(tl.float32)
    bias = tl.load(beta + c, mask=on_c, other=-float("inf")).to(tl.float32)
    fixed = tl.exp(bias - tl.max(bias, 0))
    fixed = fixed / tl.sum(fixed, 0)
    # every program writes the same
    tl.store(taps + i[:, None] * 9 + t, tl.sum(fixed[:, None, None] * pairs, 0), mask=known)
    biased = tl.load(bias3 + c, mask=on_c, other=0.0).to(tl.float32)
    logit = tl.sum(tl.sum(pairs * seen[None, :, :], 2), 1) / (height * width) + biased
    tl.store(logits + c, logit, mask=on_c)
    judged = tl.exp(logit - tl.max(tl.where(on_c, logit, -float("inf")), 0))
    judged = tl.where(on_c, judged, 0.0)
    judged = judged / tl.sum(judged, 0)
    tl.store(share + c, judged, mask=on_c)
    return tl.sum(judged * tl.where(on_c, bias, 0.0) + fixed * biased, 0)


@triton.jit
def windows(x, rows, columns, whole, each, height, width, step_c, step_h, step_w, tile_c: tl.constexpr):
    """Sums of x over what each of nine taps sees of it, (channels, 16), the rest zero.

    A tap that looks up misses the last row, one that looks down the first; what misses both, misses a corner once.
    """
    i, t = tl.arange(0, tile_c)[:, None], tl.arange(0, 16)[None, :]
    known, up, left = (i < each) & (t < 9), t // 3, t % 3
    rim, edge = tl.where(up == 0, height - 1, 0), tl.where(left == 0, width - 1, 0)
    misses, fails = known & (up != 1), known & (left != 1)
    seen = whole[:, None] - tl.load(rows + i * height + rim, mask=misses, other=0.0)
    seen -= tl.load(columns + i * width + edge, mask=fails, other=0.0)
    place = i.to(tl.int64) * step_c + rim.to(tl.int64) * step_h + edge.to(tl.int64) * step_w
    corner = tl.load(x + place, mask=misses & fails, other=0.0)
    return tl.where(known, seen + corner.to(tl.float32), 0.0)


@triton.jit
def spread(
    x, h, w, gamma, mean, variance, scale, each, height, width, step_c, step_h, step_w, eps,
    tile_h: tl.constexpr, tile_w: tl.constexpr,
):  # fmt: skip
    """Mean and variance of y, and y's factor in the map, from the share that `scale` holds.

    Welford's mean and squares about it, at every place that a thread holds, joined by Chan's rule.
    """
    down, along = tl.arange(0, tile_h), tl.arange(0, tile_w)
    places = down[:, None] * step_h + along[None, :] * step_w
    for k in range(each):
        beside = tl.load(w + k * width + along, mask=along < width, other=0.0)[None, :]
        centre = tl.zeros([tile_h, tile_w], tl.float32)
        squares = tl.zeros([tile_h, tile_w], tl.float32)
        for top in range(0, height, tile_h):
            inside = (down < height - top)[:, None] & (along < width)[None, :]
            value = tl.load(x + k * step_c + top * step_h + places, mask=inside, other=0.0).to(tl.float32)
            above = tl.load(h + k * height + top + down, mask=down < height - top, other=0.0)[:, None]
            value = value * above * beside
            apart = tl.where(inside, value - centre, 0.0)
            centre += apart * (1.0 / (top // tile_h + 1))
            squares += apart * (value - centre)
        held = tl.where(
            (down < height)[:, None] & (along < width)[None, :], ((height - down + tile_h - 1) // tile_h)[:, None], 0
        )
        held = held.to(tl.float32)
        level = tl.sum(tl.sum(centre * held, 1), 0) / (height * width)
        centre -= level
        squares = tl.sum(tl.sum(squares + held * centre * centre, 1), 0) / (height * width)
        share = tl.load(scale + k)
        tl.store(mean + k, level)
        tl.store(variance + k, squares)
        tl.store(scale + k, share * tl.load(gamma + k).to(tl.float32) / tl.sqrt_rn(squares + eps))


@triton.jit
def look(
    x, h, w, taps, scale, mean, each, height, width, step_c, step_h, step_w, row, column,
    tile_h: tl.constexpr, tile_w: tl.constexpr, lanes: tl.constexpr,
):  # fmt: skip
    """The map without its constant at whole rows of a group: Σ_c taps ∗ x + Σ_c scale·(x·h·w − mean)."""
    inside = (row < height)[:, None] & (column < width)[None, :]
    above, under = inside & (row > 0)[:, None], inside & (row < height - 1)[:, None]
    before, behind = (column > 0)[None, :], (column < width - 1)[None, :]
    place = row[:, None] * step_h + column[None, :] * step_w
    mapped = tl.zeros([tile_h, tile_w], tl.float32)
    left = tl.zeros([tile_h, tile_w], tl.float32)
    right = tl.zeros([tile_h, tile_w], tl.float32)
    for k in range(each):
        at, tap = x + k * step_c + place, taps + k * 9
        value = tl.load(at, mask=inside, other=0.0).to(tl.float32)
        upper = tl.load(at - step_h, mask=above, other=0.0).to(tl.float32)
        lower = tl.load(at + step_h, mask=under, other=0.0).to(tl.float32)
        over = tl.load(h + k * height + row, mask=row < height, other=0.0)[:, None]
        beside = tl.load(w + k * width + column, mask=column < width, other=0.0)[None, :]
        mapped += tl.load(scale + k) * (value * over * beside - tl.load(mean + k))
        mapped += tl.load(tap + 1) * upper + tl.load(tap + 4) * value + tl.load(tap + 7) * lower
        if tile_w <= lanes:
            left += tl.load(tap) * upper + tl.load(tap + 3) * value + tl.load(tap + 6) * lower
            right += tl.load(tap + 2) * upper + tl.load(tap + 5) * value + tl.load(tap + 8) * lower
        else:
            mapped += tl.load(tap) * tl.load(at - step_h - step_w, mask=above & before, other=0.0).to(tl.float32)
            mapped += tl.load(tap + 3) * tl.load(at - step_w, mask=inside & before, other=0.0).to(tl.float32)
            mapped += tl.load(tap + 6) * tl.load(at + step_h - step_w, mask=under & before, other=0.0).to(tl.float32)
            mapped += tl.load(tap + 2) * tl.load(at - step_h + step_w, mask=above & behind, other=0.0).to(tl.float32)
            mapped += tl.load(tap + 5) * tl.load(at + step_w, mask=inside & behind, other=0.0).to(tl.float32)
            mapped += tl.load(tap + 8) * tl.load(at + step_h + step_w, mask=under & behind, other=0.0).to(tl.float32)
    if tile_w <= lanes:
        none = tl.zeros([tile_h, tile_w], tl.int32)
        mapped += tl.where(before, tl.gather(left, none + tl.maximum(column - 1, 0)[None, :], 1), 0.0)
        mapped += tl.where(behind, tl.gather(right, none + tl.minimum(column + 1, tile_w - 1)[None, :], 1), 0.0)
    return mapped


class Single:
    """EMA of x, as x lies in memory; `kept` is filled."""

    def __init__(self, x: Form, groups: int, conv1: Strides, conv3: Strides, eps: float) -> None:
        batch, channels, height, width = x.shape
        held, each = cut(x), channels // groups
        self._launch = Launch(
            single_kernel, batch * groups, groups, each, height, width, *x.strides, *like(x).strides,
            *conv1[:2], *conv3, eps, power(each), held.rows, held.columns, power(height), LANES, num_warps=held.warps,
        )  # fmt: skip

    def __call__(self, x: Tensor, weights: Weights, kept: Kept) -> Tensor:
        out = torch.empty_like(x)
        self._launch(x, *weights, out, *kept)
        return out
