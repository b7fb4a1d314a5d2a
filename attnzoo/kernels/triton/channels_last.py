"""The two passes that know of groups, for maps whose channels lie next to each other in memory.

There a thread reads several channels at once and adds up a group, or its own part of a wide one. For that a group's
channels must be a power of two, known when the kernel is compiled; others are left to the passes for any layout.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,import-untyped"

import triton
import triton.language as tl

from attnzoo.kernels.triton import tiles
from attnzoo.kernels.triton.launching import Form, Launch, Strides, like
from attnzoo.kernels.triton.tiles import pieces, power, strip

SIDE = 32  # channels of a piece, a cache line of float32; and so the widest group
COLUMNS = 32  # that a program holds of x at a time
NARROW = 16  # likewise, where it holds nine sums of each
DEEP = 8  # rows that a program walks down, each read once for the three that it is a neighbour of
LONG = 32  # likewise, where sums leave once for all of them


def serves(x: Form, groups: int) -> bool:
    """Whether these passes take a map."""
    each = x.shape[1] // groups
    # what is made like a map that was spread from one position lies otherwise
    alike = x.lies_in_channels and like(x).strides[1] == 1
    return alike and each == power(each) and each <= SIDE and x.shape[3] * x.strides[3] < 2**31


@triton.jit
def summed(value, tile_g: tl.constexpr, each: tl.constexpr, tile_w: tl.constexpr):
    """(channels, columns) → the sums of groups, (groups, columns)."""
    return tl.sum(tl.reshape(value, [tile_g, each, tile_w]), 1)


@triton.jit
def widened(value, tile_g: tl.constexpr, each: tl.constexpr, tile_w: tl.constexpr):
    """(groups, columns) → a group's value at each of its channels, (channels, columns)."""
    return tl.reshape(tl.broadcast_to(value[:, None, :], [tile_g, each, tile_w]), [tile_g * each, tile_w])


@triton.jit
def row_of_taps(at):
    """Three taps of each channel, one after the other."""
    return tl.load(at)[:, None], tl.load(at + 1)[:, None], tl.load(at + 2)[:, None]


@triton.jit
def apply_last_kernel(
    x, taps, scale, mean, h, w, offset, grad, out, factor, sums, batch, channels, height, width,
    step_b, step_h, step_w, grad_b, grad_c, grad_h, grad_w, out_b, out_h, out_w, factor_b, factor_h, factor_w,
    backward: tl.constexpr, each: tl.constexpr, tile_c: tl.constexpr, tile_w: tl.constexpr, deep: tl.constexpr,
):  # fmt: skip
    """What `applying.apply_kernel` does, and row by row as it does it; a row of x is kept until it is multiplied."""
    tile_g: tl.constexpr = tile_c // each
    sample, channel, tall, wide = tiles.locate(channels, height, width, tile_c, deep, tile_w)
    sample, group, groups = sample.to(tl.int64), channel // each, channels // each
    k, g, column = tl.arange(0, tile_c), tl.arange(0, tile_g), wide * tile_w + tl.arange(0, tile_w)
    there, on_w = channel + k < channels, column < width
    first = sample * channels + channel
    x += sample * step_b + channel
    grad += sample * grad_b + channel * grad_c
    out += sample * out_b + (group if backward else channel)
    factor += sample * factor_b + group
    places = k[:, None] + (column * step_w)[None, :]
    inside, known = there[:, None] & on_w[None, :], (group + g < groups)[:, None] & on_w[None, :]
    before, behind = inside & (column > 0)[None, :], inside & (column < width - 1)[None, :]
    tap_0, tap_1, tap_2 = row_of_taps(taps + k % each * 9)
    tap_3, tap_4, tap_5 = row_of_taps(taps + k % each * 9 + 3)
    tap_6, tap_7, tap_8 = row_of_taps(taps + k % each * 9 + 6)
    gain = tl.load(scale + first + k, mask=there, other=0.0)[:, None]
    level = tl.load(mean + first + k, mask=there, other=0.0)[:, None]
    beside = strip(w + first * width + wide * tile_w, tile_c, tile_w, channels - channel, width - wide * tile_w, width)
    bias = tl.load(offset + sample * groups + group + g, mask=group + g < groups, other=0.0)[:, None]
    above = tl.zeros([tile_g, tile_w], tl.float32)
    middle, pushed, value = above, above, tl.zeros([tile_c, tile_w], tl.float32)
    for turn in range(deep + 2):
        row = tall * deep + turn - 1
        on_h = (row >= 0) & (row < height)
        at = x + row.to(tl.int64) * step_h + places
        left = tl.load(at - step_w, mask=before & on_h, other=0.0).to(tl.float32)
        centre = tl.load(at, mask=inside & on_h, other=0.0).to(tl.float32)
        right = tl.load(at + step_w, mask=behind & on_h, other=0.0).to(tl.float32)
        over = tl.load(h + (first + k) * height + row, mask=there & on_h, other=0.0)[:, None]
        y = centre * over * beside - level  # multiplied in the order of `moments`: they may cancel
        done = above + summed(tap_6 * left + tap_7 * centre + tap_8 * right, tile_g, each, tile_w)
        above = middle + summed(tap_3 * left + tap_4 * centre + tap_5 * right + gain * y, tile_g, each, tile_w)
        middle = summed(tap_0 * left + tap_1 * centre + tap_2 * right, tile_g, each, tile_w)
        if turn >= 2:
            down = (row - 1).to(tl.int64)
            mapped = tl.sigmoid(done + bias)
            if backward:
                to = grad + down * grad_h + k[:, None] * grad_c + (column * grad_w)[None, :]
                pull = tl.load(to, mask=inside & (row <= height), other=0.0).to(tl.float32)
                press = summed(value * pull, tile_g, each, tile_w) * mapped * (1 - mapped)
                on_row = known & (row <= height)
                tl.store(factor + down * factor_h + g[:, None] + (column * factor_w)[None, :], mapped, mask=on_row)
                tl.store(out + down * out_h + g[:, None] + (column * out_w)[None, :], press, mask=on_row)
                pushed += press
            else:
                to = out + down * out_h + k[:, None] + (column * out_w)[None, :]
                tl.store(to, value * widened(mapped, tile_g, each, tile_w), mask=inside & (row <= height))
        value = centre
    if backward:
        piece = (tall * tl.cdiv(width, tile_w) + wide).to(tl.int64) * batch * groups + sample * groups + group
        tl.store(sums + piece + g, tl.sum(pushed, 1), mask=group + g < groups)


@triton.jit
def spread_last_kernel(
    x, h, w, grad, factor, push, taps, scale, slope, mean, rows, columns, corners, out, on_taps,
    batch, channels, height, width, step_b, step_h, step_w, grad_b, grad_c, grad_h, grad_w,
    factor_b, factor_h, factor_w, push_b, push_h, push_w, out_b, out_h, out_w,
    each: tl.constexpr, tile_c: tl.constexpr, tile_w: tl.constexpr, span: tl.constexpr,
):  # fmt: skip
    """What `spreading.spread_kernel` does, row by row; each row of `push` is read once for the three next to it."""
    sample, channel, tall, wide = tiles.locate(channels, height, width, tile_c, span, tile_w)
    sample, group = sample.to(tl.int64), channel // each
    # a group's value is read at each of its channels: between layouts of threads it would go through shared memory
    k, column = tl.arange(0, tile_c), wide * tile_w + tl.arange(0, tile_w)
    g, there = k // each, channel + k < channels
    inside = there[:, None] & (column < width)[None, :]
    first = sample * channels + channel
    left_c, left_w, from_w = channels - channel, width - wide * tile_w, wide * tile_w
    x += sample * step_b + channel
    grad += sample * grad_b + channel * grad_c
    out += sample * out_b + channel
    factor += sample * factor_b + group
    push += sample * push_b + group
    places, outs = k[:, None] + (column * step_w)[None, :], k[:, None] + (column * out_w)[None, :]
    grads = k[:, None] * grad_c + (column * grad_w)[None, :]
    factors, pushes = g[:, None] + (column * factor_w)[None, :], g[:, None] + (column * push_w)[None, :]
    before, behind = inside & (column > 0)[None, :], inside & (column < width - 1)[None, :]
    tap_0, tap_1, tap_2 = row_of_taps(taps + k % each * 9)
    tap_3, tap_4, tap_5 = row_of_taps(taps + k % each * 9 + 3)
    tap_6, tap_7, tap_8 = row_of_taps(taps + k % each * 9 + 6)
    gain = tl.load(scale + first + k, mask=there, other=0.0)[:, None]
    level = tl.load(slope + first + k, mask=there, other=0.0)[:, None]
    lean = tl.load(slope + tl.cast(batch, tl.int64) * channels + first + k, mask=there, other=0.0)[:, None]
    centre = tl.load(mean + first + k, mask=there, other=0.0)[:, None]
    beside = strip(w + first * width + from_w, tile_c, tile_w, left_c, left_w, width)
    each_column = strip(columns + first * width + from_w, tile_c, tile_w, left_c, left_w, width)
    corner = corners + (first + k) * 4
    first_column, last_column = (column == 0)[None, :], (column == width - 1)[None, :]
    top_corners = tl.where(first_column, tl.load(corner, mask=there, other=0.0)[:, None], 0.0)
    top_corners += tl.where(last_column, tl.load(corner + 1, mask=there, other=0.0)[:, None], 0.0)
    bottom_corners = tl.where(first_column, tl.load(corner + 2, mask=there, other=0.0)[:, None], 0.0)
    bottom_corners += tl.where(last_column, tl.load(corner + 3, mask=there, other=0.0)[:, None], 0.0)
    on_0 = tl.zeros([tile_c, tile_w], tl.float32)
    on_1, on_2, on_3, on_4, on_5, on_6, on_7, on_8 = on_0, on_0, on_0, on_0, on_0, on_0, on_0, on_0
    top = tall * span
    upper_l, upper, upper_r = pushed_row(push + pushes, top - 1, height, push_h, push_w, before, inside, behind)
    near_l, near, near_r = pushed_row(push + pushes, top, height, push_h, push_w, before, inside, behind)
    for row in range(top, tl.minimum(top + span, height)):
        down = tl.cast(row, tl.int64)
        lower_l, lower, lower_r = pushed_row(push + pushes, row + 1, height, push_h, push_w, before, inside, behind)
        value = tl.load(x + down * step_h + places, mask=inside, other=0.0).to(tl.float32)
        pull = tl.load(grad + down * grad_h + grads, mask=inside, other=0.0).to(tl.float32)
        mapped = tl.load(factor + down * factor_h + factors, mask=inside, other=0.0).to(tl.float32)
        above = tl.load(h + (first + k) * height + row, mask=there, other=0.0)[:, None]
        # the gradient of y
        through = level + lean * (value * above * beside - centre) + gain * near
        total = pull * mapped + through * above * beside
        # tap (u, v) looked from the place at (1 − u, 1 − v) to here
        total, on_4 = total + tap_4 * near, on_4 + value * near
        total, on_0 = total + tap_0 * lower_r, on_0 + value * lower_r
        total, on_1 = total + tap_1 * lower, on_1 + value * lower
        total, on_2 = total + tap_2 * lower_l, on_2 + value * lower_l
        total, on_3 = total + tap_3 * near_r, on_3 + value * near_r
        total, on_5 = total + tap_5 * near_l, on_5 + value * near_l
        total, on_6 = total + tap_6 * upper_r, on_6 + value * upper_r
        total, on_7 = total + tap_7 * upper, on_7 + value * upper
        total, on_8 = total + tap_8 * upper_l, on_8 + value * upper_l
        total += tl.load(rows + (first + k) * height + row, mask=there, other=0.0)[:, None]
        total += each_column
        total += tl.where(row == 0, top_corners, 0.0) + tl.where(row == height - 1, bottom_corners, 0.0)
        tl.store(out + down * out_h + outs, total, mask=inside)
        upper_l, upper, upper_r, near_l, near, near_r = near_l, near, near_r, lower_l, lower, lower_r
    piece = (tall * tl.cdiv(width, tile_w) + wide).to(tl.int64) * batch * channels + first
    to = on_taps + (piece + k) * 9
    tl.store(to, tl.sum(on_0, 1), mask=there)
    tl.store(to + 1, tl.sum(on_1, 1), mask=there)
    tl.store(to + 2, tl.sum(on_2, 1), mask=there)
    tl.store(to + 3, tl.sum(on_3, 1), mask=there)
    tl.store(to + 4, tl.sum(on_4, 1), mask=there)
    tl.store(to + 5, tl.sum(on_5, 1), mask=there)
    tl.store(to + 6, tl.sum(on_6, 1), mask=there)
    tl.store(to + 7, tl.sum(on_7, 1), mask=there)
    tl.store(to + 8, tl.sum(on_8, 1), mask=there)


@triton.jit
def pushed_row(push, row, height, push_h, push_w, before, inside, behind):
    """A row of m's gradient, and the same shifted: what lies to the left, here, to the right; zero off the map."""
    on_h, at = (row >= 0) & (row < height), push + tl.cast(row, tl.int64) * push_h
    left = tl.load(at - push_w, mask=before & on_h, other=0.0)
    here = tl.load(at, mask=inside & on_h, other=0.0)
    return left, here, tl.load(at + push_w, mask=behind & on_h, other=0.0)


def _deep(x: Form, tile_c: int, tile_w: int, most: int) -> int:
    """Rows of a program: many, unless the map gives few programs."""
    batch, channels, height, width = x.shape
    strips, deep = batch * pieces(channels, tile_c) * pieces(width, tile_w), min(most, power(height))
    while deep > 1 and strips * pieces(height, deep) < tiles.PROGRAMS:
        deep //= 2
    return deep


def applying(x: Form, groups: int, grad: Form, out: Form, factor: Form, *, backward: bool) -> tuple[Launch, int]:
    """`applying.apply_kernel`'s launch, and how many pieces its sums come in."""
    batch, channels, height, width = x.shape
    tile_c, tile_w = min(SIDE, power(channels)), min(COLUMNS, power(width))
    deep = _deep(x, tile_c, tile_w, DEEP)
    sums = pieces(height, deep) * pieces(width, tile_w)
    launch = Launch(
        apply_last_kernel, batch * pieces(channels, tile_c) * sums, *x.shape, *_apart(x), *grad.strides, *_apart(out),
        *_apart(factor), backward, channels // groups, tile_c, tile_w, deep, **tiles.options(tile_c * tile_w),
    )  # fmt: skip
    return launch, sums


def spreading(x: Form, groups: int, grad: Form, push: Form, out: Form) -> tuple[Launch, int]:
    """`spreading.spread_kernel`'s launch, and how many pieces its sums come in."""
    batch, channels, height, width = x.shape
    tile_c, tile_w = min(SIDE, power(channels)), min(NARROW, power(width))
    span = _deep(x, tile_c, tile_w, LONG)
    sums = pieces(height, span) * pieces(width, tile_w)
    launch = Launch(
        spread_last_kernel, batch * pieces(channels, tile_c) * sums, *x.shape, *_apart(x), *grad.strides,
        *_apart(push), *_apart(push), *_apart(out), channels // groups, tile_c, tile_w, span,
        **tiles.options(tile_c * tile_w),
    )  # fmt: skip
    return launch, sums


def _apart(x: Form) -> Strides:
    """The strides but for that of channels, which is one."""
    return (x.strides[0], *x.strides[2:])
