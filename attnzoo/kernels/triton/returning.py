"""The small maths of the backward pass: a launch between its passes and one after them, for some sixty operators.

It is what `gradients.plainly` says in torch's words, a program for each group of each sample.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,import-untyped"

import triton
import triton.language as tl
from torch import Tensor

from attnzoo.kernels.triton.kept import Kept
from attnzoo.kernels.triton.one_launch import MIXED, windows
from attnzoo.kernels.triton.tiles import power, strip

WIDEST = 32  # channels of a group: a program holds a pair's nine taps for each two


def serves(each: int) -> bool:
    """Whether a program can hold what a group of so many channels has."""
    return each <= WIDEST


def size(each: int) -> int:
    """Of a program's share of the weights' gradients."""
    return 10 * each**2 + 4 * each + 1


@triton.jit
def back_kernel(
    x, rows, columns, pushed, h, w, row_sums, column_sums, logits, mean, variance, scale, conv1, gamma, beta, conv3,
    slope, on_rows, on_columns, corners, shares, all_maps, groups, each, height, width, held,
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
    press, bias = tl.load(pushed + here), tl.load(beta + c, mask=on_c, other=0.0).to(tl.float32)
    sharp = 1.0 / tl.sqrt_rn(tl.load(variance + first + c, mask=on_c, other=1.0) + eps)
    gain = tl.load(gamma + c, mask=on_c, other=0.0).to(tl.float32) * sharp
    on_scale, whole = tl.zeros([tile_c], tl.float32), tl.zeros([tile_c], tl.float32)
    for begin in range(0, height, tile_s):
        opened = strip(h + begin, tile_c, tile_s, each, height - begin, height)
        on_scale += tl.sum(opened * strip(rows + begin, tile_c, tile_s, each, height - begin, height), 1)
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
        rows, h, row_sums, on_rows + first * height, all_maps * height, factor, at_mean, beyond, mix, whole,
        tl.sum(lost, 1), tl.sum(gone, 1), each, height, width, tile_c, tile_s,
    )  # fmt: skip
    lost, gone = tl.where(left == 0, on_seen, 0.0), tl.where(left == 2, on_seen, 0.0)
    more, on_more = along(
        columns, w, column_sums, on_columns + first * width, all_maps * width, factor, at_mean, beyond, mix,
        whole * 0.0, tl.sum(lost, 1), tl.sum(gone, 1), each, width, height, tile_c, tile_s,
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
    strips, gates, sums, out, step, factor, at_mean, beyond, mix, seen, at_end, at_start, each, length, other,
    tile_c: tl.constexpr, tile_s: tl.constexpr,
):  # fmt: skip
    """What goes back to a group's sums of rows, or of columns, written to `out`; and to the 1×1 convolution."""
    on_mix, on_bias = tl.zeros([tile_c, tile_c], tl.float32), tl.zeros([tile_c], tl.float32)
    c = tl.arange(0, tile_c)[:, None]
    for begin in range(0, length, tile_s):
        s = begin + tl.arange(0, tile_s)[None, :]
        opened = strip(gates + begin, tile_c, tile_s, each, length - begin, length)
        on = factor * strip(strips + begin, tile_c, tile_s, each, length - begin, length)
        on += at_mean * strip(strips + step + begin, tile_c, tile_s, each, length - begin, length)
        on += beyond * strip(strips + 2 * step + begin, tile_c, tile_s, each, length - begin, length)
        on *= opened * (1.0 - opened)
        on_bias += tl.sum(on, 1)
        line = strip(sums + begin, tile_c, tile_s, each, length - begin, length) / other
        on_mix += tl.sum(on[:, None, :] * line[None, :, :], 2)
        back = tl.sum(mix[:, :, None] * on[:, None, :], 0) / other + seen[:, None]
        back -= tl.where(s == length - 1, at_end[:, None], 0.0) + tl.where(s == 0, at_start[:, None], 0.0)
        tl.store(out + c * length + s, back, mask=(c < each) & (s < length))
    return on_mix, on_bias


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


def back(
    x: Tensor, rows: Tensor, columns: Tensor, pushed: Tensor, kept: Kept, groups: int, conv1: Tensor, gamma: Tensor,
    beta: Tensor, conv3: Tensor, eps: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """y's slope (2, B, C), gradients of the sums of rows, of columns, of the corners (B, C, 2, 2), and the shares.

    Args:
        x: The map.
        rows: (3, B, C, H), as `reading.slopes` gives them.
        columns: (3, B, C, W), likewise.
        pushed: (B, G), the sums of m's gradient.
        kept: What the forward pass left.
        groups, conv1, gamma, beta, conv3, eps: The block's.
    """
    batch, channels, height, width = x.shape
    each = channels // groups
    slope, corners = rows.new_empty(2, batch, channels), rows.new_empty(batch, channels, 2, 2)
    on_rows, on_columns = rows.new_empty(batch, channels, height), rows.new_empty(batch, channels, width)
    shares = rows.new_empty(batch * groups, size(each))
    back_kernel[(batch * groups,)](
        x, rows, columns, pushed, kept.h, kept.w, kept.rows, kept.columns, kept.logits, kept.mean, kept.variance,
        kept.scale, conv1, gamma, beta, conv3, slope, on_rows, on_columns, corners, shares, batch * channels, groups,
        each, height, width, size(each), *x.stride(), *conv1.stride()[:2], *conv3.stride(), eps,
        power(each), min(power(max(height, width)), MIXED // power(each) ** 2),
        num_warps=4 if each < WIDEST // 2 else 8,
    )  # fmt: skip
    return slope, on_rows, on_columns, corners, shares


def close(shares: Tensor, on_taps: Tensor, beta: Tensor, conv3: Tensor, bias3: Tensor) -> Tensor:
    """The gradients of all weights, float32, as a program's shares lie, from `back`'s shares and `spread`'s taps."""
    total, each = shares.sum(0), len(beta)
    close_kernel[(1,)](total, on_taps, beta, conv3, bias3, each, *conv3.stride(), power(each), num_warps=4)
    return total


def named(total: Tensor, conv1: Tensor, conv3: Tensor) -> tuple[Tensor, ...]:
    """What `close` gives, in the block's order."""
    each = len(conv1)
    on_mix, bias1, gamma, beta, bias3, on_conv3, _ = total.split([each**2, *[each] * 4, 9 * each**2, 1])
    return on_mix.view(conv1.shape), bias1, gamma, beta, on_conv3.view(conv3.shape), bias3
