"""The small maths between the passes: a kernel for each of its two parts, so that they cost two launches."""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,import-untyped"

import triton
import triton.language as tl
from torch import Tensor

from attnzoo.kernels.ema import Weights
from attnzoo.kernels.triton.kept import Kept
from attnzoo.kernels.triton.launching import Form, Launch, Strides
from attnzoo.kernels.triton.tiles import joined, options, power

HELD = 1024  # sums at a time, of a group's channels by positions


@triton.jit
def gates_kernel(
    x, rows, columns, conv1, bias1, beta, conv3, bias3, h, w, row_sums, column_sums, logits, taps,
    batch, groups, each, height, width, step_b, step_c, step_h, step_w,
    conv1_o, conv1_i, conv3_o, conv3_i, conv3_u, conv3_v, row_pieces, column_pieces,
    tile_c: tl.constexpr, tile_s: tl.constexpr,
):  # fmt: skip
    """For one output channel of one group: both gates, the mean of the 3×3 convolution, and the taps of the map."""
    here = tl.program_id(0)
    o, group, sample = here % each, here // each % groups, (here // each // groups).to(tl.int64)
    first = (sample * groups + group) * each
    mine = first + o
    per_row, per_column = tl.cast(batch, tl.int64) * groups * each, tl.cast(batch, tl.int64) * groups * each
    per_row, per_column = per_row * height, per_column * width
    gate(rows, row_pieces, per_row, conv1 + o * conv1_o, conv1_i, bias1 + o, first, mine, each, height, width,
         h, row_sums, tile_c, tile_s)  # fmt: skip
    gate(columns, column_pieces, per_column, conv1 + o * conv1_o, conv1_i, bias1 + o, first, mine, each, width, height,
         w, column_sums, tile_c, tile_s)  # fmt: skip
    at_x = x + sample * step_b + tl.cast(group * each, tl.int64) * step_c
    bottom, right = tl.cast(height - 1, tl.int64) * step_h, tl.cast(width - 1, tl.int64) * step_w
    mean = tl.zeros([tile_c], tl.float32)
    for start in range(0, each, tile_c):
        i = start + tl.arange(0, tile_c)
        there = i < each
        lines = tl.zeros([tile_c, tile_s], tl.float32)
        for begin in range(0, height, tile_s):
            s = begin + tl.arange(0, tile_s)[None, :]
            lines += joined(
                rows + (first + i)[:, None] * height + s, row_pieces, per_row, there[:, None] & (s < height)
            )
        total = tl.sum(lines, 1)
        # a tap that looks up misses the last row, one that looks down the first: likewise with columns
        missed_0 = joined(rows + (first + i) * height + height - 1, row_pieces, per_row, there)
        missed_2 = joined(rows + (first + i) * height, row_pieces, per_row, there)
        left_out_0 = joined(columns + (first + i) * width + width - 1, column_pieces, per_column, there)
        left_out_2 = joined(columns + (first + i) * width, column_pieces, per_column, there)
        corner = at_x + tl.cast(i, tl.int64) * step_c
        corner_00 = tl.load(corner + bottom + right, mask=there, other=0.0).to(tl.float32)
        corner_02 = tl.load(corner + bottom, mask=there, other=0.0).to(tl.float32)
        corner_20 = tl.load(corner + right, mask=there, other=0.0).to(tl.float32)
        corner_22 = tl.load(corner, mask=there, other=0.0).to(tl.float32)
        tap = conv3 + o * conv3_o + i * conv3_i
        mean += row_of_windows(tap, conv3_v, there, total - missed_0, left_out_0 - corner_00, left_out_2 - corner_02)
        mean += row_of_windows(tap + conv3_u, conv3_v, there, total, left_out_0, left_out_2)
        tap += 2 * conv3_u
        mean += row_of_windows(tap, conv3_v, there, total - missed_2, left_out_0 - corner_20, left_out_2 - corner_22)
    logit = tl.sum(mean, 0) / (height * width) + tl.load(bias3 + o).to(tl.float32)
    tl.store(logits + mine, logit)
    if sample * groups + group == 0:  # the taps are the same for all
        top = -float("inf")
        for start in range(0, each, tile_c):
            i = start + tl.arange(0, tile_c)
            top = tl.maximum(top, tl.max(tl.load(beta + i, mask=i < each, other=-float("inf")).to(tl.float32), 0))
        below = 0.0
        t = tl.arange(0, 16)[None, :]
        found = tl.zeros([16], tl.float32)
        for start in range(0, each, tile_c):
            i = start + tl.arange(0, tile_c)
            share = tl.exp(tl.load(beta + i, mask=i < each, other=-float("inf")).to(tl.float32) - top)
            below += tl.sum(share, 0)
            tap = conv3 + i[:, None] * conv3_o + o * conv3_i + t // 3 * conv3_u + t % 3 * conv3_v
            tap = tl.load(tap, mask=(i < each)[:, None] & (t < 9), other=0.0).to(tl.float32)
            found += tl.sum(share[:, None] * tap, 0)
        tl.store(taps + o * 9 + tl.arange(0, 16), found / below, mask=tl.arange(0, 16) < 9)


@triton.jit
def gate(
    strips, pieces, per_piece, weight, weight_step, bias, first, mine, each, length, other, out, sums,
    tile_c: tl.constexpr, tile_s: tl.constexpr,
):  # fmt: skip
    """σ of one output channel of the 1×1 convolution of strips of means; and that channel's own sums, all pieces."""
    for begin in range(0, length, tile_s):
        s = begin + tl.arange(0, tile_s)
        mixed = tl.zeros([tile_s], tl.float32)
        for start in range(0, each, tile_c):
            i = start + tl.arange(0, tile_c)
            seen = (i < each)[:, None] & (s < length)[None, :]
            value = joined(strips + (first + i)[:, None] * length + s[None, :], pieces, per_piece, seen)
            share = tl.load(weight + i * weight_step, mask=i < each, other=0.0).to(tl.float32)
            mixed += tl.sum(share[:, None] * (value / other), 0)
        opened = tl.sigmoid(mixed + tl.load(bias).to(tl.float32))
        tl.store(out + mine * length + s, opened, mask=s < length)
        tl.store(sums + mine * length + s, joined(strips + mine * length + s, pieces, per_piece, s < length),
                 mask=s < length)  # fmt: skip


@triton.jit
def row_of_windows(tap, step, seen, total, left_out_0, left_out_2):
    """What three taps next to each other make of sums of x over what they see of it."""
    first = tl.load(tap, mask=seen, other=0.0).to(tl.float32) * (total - left_out_0)
    second = tl.load(tap + step, mask=seen, other=0.0).to(tl.float32) * total
    return first + second + tl.load(tap + 2 * step, mask=seen, other=0.0).to(tl.float32) * (total - left_out_2)


@triton.jit
def finish_kernel(
    partial, logits, gamma, beta, bias3, mean, variance, scale, offset, pieces, batch, groups, each, eps,
    tile_c: tl.constexpr, tile_p: tl.constexpr,
):  # fmt: skip
    """For one group: mean and variance from their pieces, and from them what the normed branch adds to the map."""
    here = tl.program_id(0).to(tl.int64)
    k = tl.arange(0, tile_c)
    there, at = k < each, here * each + k
    every = tl.cast(batch, tl.int64) * groups * each
    count_step = tl.cast(pieces, tl.int64) * every
    total, level = tl.zeros([tile_c], tl.float32), tl.zeros([tile_c], tl.float32)
    for start in range(0, pieces, tile_p):
        piece = (start + tl.arange(0, tile_p))[:, None]
        place, seen = partial + piece * every + at[None, :], (piece < pieces) & there[None, :]
        count = tl.load(place + 2 * count_step, mask=seen, other=0.0)
        total += tl.sum(count, 0)
        level += tl.sum(count * tl.load(place, mask=seen, other=0.0), 0)
    total = tl.where(there, total, 1.0)
    level /= total
    squares = tl.zeros([tile_c], tl.float32)
    for start in range(0, pieces, tile_p):
        piece = (start + tl.arange(0, tile_p))[:, None]
        place, seen = partial + piece * every + at[None, :], (piece < pieces) & there[None, :]
        apart = tl.load(place, mask=seen, other=0.0) - level[None, :]
        count = tl.load(place + 2 * count_step, mask=seen, other=0.0)
        squares += tl.sum(tl.load(place + count_step, mask=seen, other=0.0) + count * apart * apart, 0)
    spread = squares / total
    logit = tl.load(logits + at, mask=there, other=-float("inf"))
    share = tl.exp(logit - tl.max(logit, 0))
    share = share / tl.sum(share, 0)
    bias = tl.load(beta + k, mask=there, other=-float("inf")).to(tl.float32)
    fixed = tl.exp(bias - tl.max(bias, 0))
    fixed = fixed / tl.sum(fixed, 0)
    bias = tl.where(there, bias, 0.0)
    gain = tl.load(gamma + k, mask=there, other=0.0).to(tl.float32) / tl.sqrt_rn(spread + eps)
    rest = share * bias + fixed * tl.load(bias3 + k, mask=there, other=0.0).to(tl.float32)
    tl.store(mean + at, level, mask=there)
    tl.store(variance + at, spread, mask=there)
    tl.store(scale + at, share * gain, mask=there)
    tl.store(offset + here, tl.sum(rest, 0))


class Gates:
    """From strips in pieces: what `kept` holds of both gates, of the sums, of the logits and of the taps.

    Args:
        x: The map's form.
        groups: How many.
        conv1, conv3: The strides of both convolutions' weights.
        strips: How many pieces the sums of rows come in, and those of columns.
    """

    def __init__(self, x: Form, groups: int, conv1: Strides, conv3: Strides, strips: tuple[int, int]) -> None:
        batch, channels, height, width = x.shape
        each = channels // groups
        tile_c = min(power(each), 32)
        tile_s = min(max(1, HELD // tile_c), power(max(height, width)))
        self._launch = Launch(
            gates_kernel, batch * channels, batch, groups, each, height, width, *x.strides, *conv1[:2], *conv3,
            *strips, tile_c, tile_s, **options(tile_c * tile_s),
        )  # fmt: skip

    def __call__(self, x: Tensor, rows: Tensor, columns: Tensor, weights: Weights, kept: Kept) -> None:
        conv1, bias1, _, beta, conv3, bias3 = weights
        self._launch(
            x, rows, columns, conv1, bias1, beta, conv3, bias3, kept.h, kept.w, kept.rows, kept.columns, kept.logits,
            kept.taps,
        )  # fmt: skip


class Finish:
    """What `kept` holds of y, and what y adds to the map, scale and offset: from y's moments in pieces."""

    def __init__(self, x: Form, groups: int, eps: float, pieces: int) -> None:
        batch, channels = x.shape[:2]
        each = channels // groups
        tile_p = min(power(pieces), max(1, HELD // power(each)))
        self._launch = Launch(
            finish_kernel, batch * groups, pieces, batch, groups, each, eps, power(each), tile_p,
            **options(power(each) * tile_p),
        )  # fmt: skip

    def __call__(self, partial: Tensor, weights: Weights, kept: Kept) -> None:
        _, _, gamma, beta, _, bias3 = weights
        self._launch(partial, kept.logits, gamma, beta, bias3, kept.mean, kept.variance, kept.scale, kept.offset)
