"""The small maths of the backward pass: a launch between its passes and one after them, for some sixty operators.

It is what `gradients.plainly` says in torch's words, a program for each group of each sample.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,import-untyped"

import triton
import triton.language as tl
from torch import Tensor

from attnzoo.kernels.ema import Weights
from attnzoo.kernels.triton.kept import Kept
from attnzoo.kernels.triton.launching import Form, Launch, Strides
from attnzoo.kernels.triton.one_launch import MIXED, windows
from attnzoo.kernels.triton.spreading import Returned
from attnzoo.kernels.triton.tiles import joined, power, strip

WIDEST = 32  # channels of a group: a program holds a pair's nine taps for each two
WARPS = 4  # that a program has; twice as many for a wide group


def serves(each: int) -> bool:
    """Whether a program can hold what a group of so many channels has."""
    return each <= WIDEST


def sizes(each: int) -> list[int]:
    """How many numbers the gradients have of conv1, bias1, gamma, beta, bias3 and conv3."""
    return [each**2, *[each] * 4, 9 * each**2]


@triton.jit
def back_kernel(
    x, rows, columns, pushed, h, w, row_sums, column_sums, logits, mean, variance, scale, conv1, gamma, beta, conv3,
    slope, on_rows, on_columns, corners, shares, all_maps, groups, each, height, width, held,
    push_pieces, row_pieces, column_pieces,
    step_b, step_c, step_h, step_w, conv1_o, conv1_i, conv3_o, conv3_i, conv3_u, conv3_v, eps,
    tile_c: tl.constexpr, tile_s: tl.constexpr,
):  # fmt: skip
    """What goes back to a group's rows, columns and corners, and its share of the weights' gradients.

    A program's `held` numbers in `shares`: conv1 (c, c); bias1, gamma, beta, bias3 (c); conv3 (c, c, 9); Σ push.
    """
    here = tl.program_id(0).to(tl.int64)
    first = here * each
    c, t = tl.arange(0, tile_c), tl.arange(0, 16)
    on_c, pair = c < each, (c < each)[:, None] & (c < each)[None, :]
    x += here // groups * step_b + here % groups * each * step_c
    row_sums, column_sums, shares = row_sums + first * height, column_sums + first * width, shares + here * held
    h, w, all_maps = h + first * height, w + first * width, tl.cast(all_maps, tl.int64)
    rows, columns = rows + first * height, columns + first * width
    area = height * width

    # scale = a2·γ/√(variance + eps), offset = Σ a2·β + Σ a1·b3
    logit = tl.load(logits + first + c, mask=on_c, other=-float("inf"))
    share = tl.exp(logit - tl.max(logit, 0))
    share = share / tl.sum(share, 0)
    bias, many = tl.load(beta + c, mask=on_c, other=0.0).to(tl.float32), tl.arange(0, 64)
    press = tl.zeros([64], tl.float32)
    for begin in range(0, push_pieces, 64):
        press += tl.load(
            pushed + (begin + many) * (all_maps // each) + here, mask=begin + many < push_pieces, other=0.0
        )
    press = tl.sum(press, 0)
    sharp = 1.0 / tl.sqrt_rn(tl.load(variance + first + c, mask=on_c, other=1.0) + eps)
    gain = tl.load(gamma + c, mask=on_c, other=0.0).to(tl.float32) * sharp
    on_scale, whole = tl.zeros([tile_c], tl.float32), tl.zeros([tile_c], tl.float32)
    for begin in range(0, height, tile_s):
        opened = strip(h + begin, tile_c, tile_s, each, height - begin, height)
        on_scale += tl.sum(opened * pieced(rows + begin, row_pieces, all_maps * height, tile_c, tile_s, each,
                                           height - begin, height), 1)  # fmt: skip
        whole += tl.sum(strip(row_sums + begin, tile_c, tile_s, each, height - begin, height), 1)
    apart = on_scale - press * tl.load(mean + first + c, mask=on_c, other=0.0)
    on_share = gain * apart + press * bias
    on_logits = share * (on_share - tl.sum(share * on_share, 0))
    # the gradient of y through both: on the mean for each, and twice the variance's for each step from the mean
    at_mean, beyond = -press * share * gain / area, -share * gain * sharp * sharp * apart / area
    tl.store(slope + first + c, at_mean, mask=on_c)
    tl.store(slope + all_maps + first + c, beyond, mask=on_c)
    at_mean, beyond = at_mean[:, None], beyond[:, None]
    factor = tl.load(scale + first + c, mask=on_c, other=0.0)[:, None]

    # the logits are W3 times the sums of x over nine windows, and b3
    seen = windows(x, row_sums, column_sums, whole, each, height, width, step_c, step_h, step_w, tile_c) / area
    up, left = t[None, :] // 3, t[None, :] % 3
    known = (c[:, None] < each) & (t[None, :] < 9)
    places = c[:, None, None] * conv3_o + (c[:, None] * conv3_i + up * conv3_u + left * conv3_v)[None, :, :]
    pairs = tl.load(conv3 + places, mask=on_c[:, None, None] & known[None, :, :], other=0.0).to(tl.float32)
    on_seen = tl.sum(on_logits[:, None, None] * pairs, 0) / area  # (channels, 16)
    # h = σ(W1·rows/W + b1), w likewise, and y = x·h·w
    mix = tl.load(conv1 + c[:, None] * conv1_o + c[None, :] * conv1_i, mask=pair, other=0.0).to(tl.float32)
    whole, lost, gone = tl.sum(on_seen, 1), tl.where(up == 0, on_seen, 0.0), tl.where(up == 2, on_seen, 0.0)
    on_mix, on_bias = along(
        rows, row_pieces, h, row_sums, on_rows + first * height, all_maps * height, factor, at_mean, beyond, mix, whole,
        tl.sum(lost, 1), tl.sum(gone, 1), each, height, width, tile_c, tile_s,
    )  # fmt: skip
    lost, gone = tl.where(left == 0, on_seen, 0.0), tl.where(left == 2, on_seen, 0.0)
    more, on_more = along(
        columns, column_pieces, w, column_sums, on_columns + first * width, all_maps * width, factor, at_mean, beyond,
        mix, whole * 0.0, tl.sum(lost, 1), tl.sum(gone, 1), each, width, height, tile_c, tile_s,
    )  # fmt: skip
    on_mix, on_bias = on_mix + more, on_bias + on_more

    # a tap that looks down and to the right missed the top left corner twice
    twice = known & (up != 1) & (left != 1)
    tl.store(corners + (first + c[:, None]) * 4 + (2 - up) + (2 - left) // 2, on_seen, mask=twice)

    tl.store(shares + c[:, None] * each + c[None, :], on_mix, mask=pair)
    shares += each * each
    tl.store(shares + c, on_bias, mask=on_c)
    tl.store(shares + each + c, share * sharp * apart, mask=on_c)
    tl.store(shares + 2 * each + c, share * press, mask=on_c)
    tl.store(shares + 3 * each + c, on_logits, mask=on_c)
    shares += 4 * each
    places = (c[:, None, None] * each + c[None, :, None]) * 9 + t[None, None, :]
    tl.store(shares + places, on_logits[:, None, None] * seen[None, :, :], mask=on_c[:, None, None] & known[None, :, :])
    tl.store(shares + each * each * 9, press)


@triton.jit
def along(
    strips, pieces, gates, sums, out, step, factor, at_mean, beyond, mix, seen, at_end, at_start, each, length, other,
    tile_c: tl.constexpr, tile_s: tl.constexpr,
):  # fmt: skip
    """What goes back to a group's sums of rows, or of columns, written to `out`; and to the 1×1 convolution."""
    on_mix, on_bias = tl.zeros([tile_c, tile_c], tl.float32), tl.zeros([tile_c], tl.float32)
    c = tl.arange(0, tile_c)[:, None]
    for begin in range(0, length, tile_s):
        s = begin + tl.arange(0, tile_s)[None, :]
        opened = strip(gates + begin, tile_c, tile_s, each, length - begin, length)
        at, left = strips + begin, length - begin
        on = factor * pieced(at, pieces, step, tile_c, tile_s, each, left, length)
        on += at_mean * pieced(at + pieces * step, pieces, step, tile_c, tile_s, each, left, length)
        on += beyond * pieced(at + 2 * pieces * step, pieces, step, tile_c, tile_s, each, left, length)
        on *= opened * (1.0 - opened)
        on_bias += tl.sum(on, 1)
        line = strip(sums + begin, tile_c, tile_s, each, length - begin, length) / other
        on_mix += tl.sum(on[:, None, :] * line[None, :, :], 2)
        back = tl.sum(mix[:, :, None] * on[:, None, :], 0) / other + seen[:, None]
        back -= tl.where(s == length - 1, at_end[:, None], 0.0) + tl.where(s == 0, at_start[:, None], 0.0)
        tl.store(out + c * length + s, back, mask=(c < each) & (s < length))
    return on_mix, on_bias


@triton.jit
def pieced(
    pointer, pieces, per_piece, tile_c: tl.constexpr, tile_s: tl.constexpr, left_c, left_s, step
):  # fmt: skip
    """A `tiles.strip`, summed over its pieces."""
    c, s = tl.arange(0, tile_c)[:, None], tl.arange(0, tile_s)[None, :]
    return joined(pointer + c * step + s, pieces, per_piece, (c < left_c) & (s < left_s))


@triton.jit
def close_kernel(total, on_taps, beta, conv3, bias3, each, conv3_o, conv3_i, conv3_u, conv3_v, tile_c: tl.constexpr):
    """Adds to the sum of all shares what came back to the taps, which are Σ softmax(β)·W3, and to their constant."""
    c, t = tl.arange(0, tile_c), tl.arange(0, 16)
    on_c, known = c < each, (c[:, None] < each) & (t[None, :] < 9)
    beside = total + each * each + 2 * each
    whole = beside + 2 * each
    press = tl.load(whole + each * each * 9)
    bias = tl.load(beta + c, mask=on_c, other=-float("inf")).to(tl.float32)
    fixed = tl.exp(bias - tl.max(bias, 0))
    fixed = fixed / tl.sum(fixed, 0)
    returned = tl.load(on_taps + c[:, None] * 9 + t[None, :], mask=known, other=0.0)
    pair = on_c[:, None, None] & known[None, :, :]
    up, left = t[None, :] // 3, t[None, :] % 3
    places = c[:, None, None] * conv3_o + (c[:, None] * conv3_i + up * conv3_u + left * conv3_v)[None, :, :]
    pairs = tl.load(conv3 + places, mask=pair, other=0.0).to(tl.float32)
    on_fixed = tl.sum(tl.sum(pairs * returned[None, :, :], 2), 1)
    on_fixed += press * tl.load(bias3 + c, mask=on_c, other=0.0).to(tl.float32)
    on_beta = fixed * (on_fixed - tl.sum(fixed * on_fixed, 0))
    tl.store(beside + c, tl.load(beside + c, mask=on_c, other=0.0) + on_beta, mask=on_c)
    logits = tl.load(beside + each + c, mask=on_c, other=0.0)
    tl.store(beside + each + c, logits + press * fixed, mask=on_c)
    places = (c[:, None, None] * each + c[None, :, None]) * 9 + t[None, None, :]
    more = tl.load(whole + places, mask=pair, other=0.0)
    tl.store(whole + places, more + fixed[:, None, None] * returned[None, :, :], mask=pair)


class Back:
    """What `spread` wants, and every program's share of the weights' gradients, (B·G, `sizes` and one).

    Args:
        x: The map's form.
        groups: How many.
        conv1, conv3: The strides of both convolutions' weights.
        eps: The norm's.
        pieces: How many the sums of m's gradient come in, those of rows, and those of columns.
    """

    def __init__(
        self, x: Form, groups: int, conv1: Strides, conv3: Strides, eps: float, pieces: tuple[int, int, int]
    ) -> None:
        batch, channels, height, width = x.shape
        each, maps = channels // groups, batch * channels
        held = sum(sizes(each)) + 1
        self._sizes = [2 * maps, maps * height, maps * width, 4 * maps, batch * groups * held]
        self._shares = batch * groups, held
        self._launch = Launch(
            back_kernel, batch * groups, maps, groups, each, height, width, held, *pieces, *x.strides, *conv1[:2],
            *conv3, eps, power(each), min(power(max(height, width)), MIXED // power(each) ** 2),
            num_warps=WARPS if each < WIDEST // 2 else 2 * WARPS,
        )  # fmt: skip

    def __call__(
        self, x: Tensor, rows: Tensor, columns: Tensor, pushed: Tensor, kept: Kept, weights: Weights
    ) -> tuple[Returned, Tensor]:
        conv1, _, gamma, beta, conv3, _ = weights
        *small, shares = rows.new_empty(sum(self._sizes)).split_with_sizes(self._sizes)
        self._launch(
            x, rows, columns, pushed, kept.h, kept.w, kept.rows, kept.columns, kept.logits, kept.mean, kept.variance,
            kept.scale, conv1, gamma, beta, conv3, *small, shares,
        )  # fmt: skip
        return Returned(*small), shares.view(self._shares)


class Close:
    """The gradients of all weights, float32, one after the other: from `Back`'s shares and `Spread`'s taps."""

    def __init__(self, each: int, conv3: Strides) -> None:
        self._launch = Launch(close_kernel, 1, each, *conv3, power(each), num_warps=4)

    def __call__(self, shares: Tensor, on_taps: Tensor, weights: Weights) -> Tensor:
        total = shares.sum(0)
        self._launch(total, on_taps, weights.beta, weights.conv3, weights.bias3)
        return total[:-1]
