"""EMA's backward pass, made for the form of a map: passes for what is as large as x and for the small maths between.

Where a group is too wide for the small maths to be a program, it is in torch's words.
"""

from collections.abc import Callable
from functools import lru_cache, partial

import torch
from torch import Tensor

from attnzoo.kernels.ema import Weights, precise
from attnzoo.kernels.triton import kept, returning
from attnzoo.kernels.triton.applying import Press
from attnzoo.kernels.triton.kept import Kept
from attnzoo.kernels.triton.launching import KEPT, Form
from attnzoo.kernels.triton.reading import Slopes
from attnzoo.kernels.triton.spreading import Returned, Spread


class Backward:
    """The gradients of x, as it lies in memory, and of all weights, float32, one after the other: see `named`.

    Two passes over x, its gradient and m's, one that finds m's, and small maths; x's gradient is written once.
    """

    def __init__(self, x: Form, grad: Form, groups: int, eps: float, weights: tuple[Form, ...]) -> None:
        self._groups, self._eps, self._sizes = groups, eps, kept.sizes(x.shape, groups)
        self._press = Press(x, groups, grad)
        push = self._press.push
        self._slopes, self._spread = Slopes(x, push), Spread(x, groups, grad, push)
        self._back = self._close = None
        each, conv1, conv3 = x.shape[1] // groups, weights[0].strides, weights[4].strides
        if returning.serves(each):
            pieces = (self._press.pieces, *self._slopes.pieces)
            self._back = returning.Back(x, groups, conv1, conv3, eps, pieces)
            self._close = returning.Close(each, conv3)

    def __call__(self, x: Tensor, grad: Tensor, weights: Weights, buffer: Tensor) -> tuple[Tensor, Tensor]:
        found = kept.parts(buffer, self._sizes)
        push, factor, pushed = self._press(x, found, grad)
        rows, columns = self._slopes(x, found.h, found.w, push, found.mean)
        if self._back is not None and self._close is not None:
            small, shares = self._back(x, rows, columns, pushed, found, weights)
            out, on_taps = self._spread(x, grad, factor, push, found, small)
            return out, self._close(shares, on_taps, weights)
        spread = partial(self._spread, x, grad, factor, push, found)
        with precise(x):
            return plainly(
                x, rows.sum(1), columns.sum(1), pushed.sum(0), found, weights, self._groups, self._eps, spread
            )


prepared = lru_cache(KEPT)(Backward)


def named(total: Tensor, weights: Weights) -> tuple[Tensor, ...]:
    """What `Backward` gives for the weights, in the block's order and as each of them is."""
    each = len(weights.conv1)
    on_mix, on_bias1, on_gamma, on_beta, on_bias3, on_conv3 = total.split_with_sizes(returning.sizes(each))
    on_mix, on_conv3 = on_mix.view(each, each, 1, 1), on_conv3.view(each, each, 3, 3)
    found = on_mix, on_bias1, on_gamma, on_beta, on_conv3, on_bias3
    return tuple(gradient.to(weight.dtype) for gradient, weight in zip(found, weights, strict=True))


def plainly(
    x: Tensor, rows: Tensor, columns: Tensor, pushed: Tensor, found: Kept, weights: Weights, groups: int, eps: float,
    spread: Callable[[Returned], tuple[Tensor, Tensor]],
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The small maths in torch's words, around the pass that finds x's gradient and that of the taps."""
    h, w, row_sums, column_sums, logits, mean, variance, scale, *_ = kept.views(found, x.shape, groups)
    height, width = x.shape[2:]
    conv1, gamma, beta, conv3, bias3 = (
        weight.float() for weight in (weights.conv1, weights.gamma, weights.beta, weights.conv3, weights.bias3)
    )
    grouped = (x.shape[0], groups, x.shape[1] // groups)
    # scale = a2·γ/√(variance + eps), offset = Σ a2·β + Σ a1·b3, taps = Σ a1·W3
    share, fixed, sharp = logits.view(grouped).softmax(2), beta.softmax(0), (variance + eps).rsqrt().view(grouped)
    level = mean.view(grouped)
    on_scale, on_offset = (h * rows[0]).sum(2).view(grouped), pushed[:, :, None]
    gain, apart = gamma * sharp, on_scale - on_offset * level
    on_share = gain * apart + on_offset * beta
    on_logits = share * (on_share - (share * on_share).sum(2, keepdim=True))
    on_mean, on_variance = -on_offset * share * gain, -0.5 * share * gain * sharp.square() * apart
    # the gradient of y through both: on the mean for each, and twice the variance's for each step from the mean
    slope = torch.stack((on_mean, 2 * on_variance)).flatten(2) / (height * width)
    # h = σ(W1·rows/W + b1), and y = x·h·w
    factors = torch.cat((scale[None], slope))
    on_h, on_w = (torch.einsum("qbc,qbcs->bcs", factors, strip) for strip in (rows, columns))
    on_h, on_w = (on_h * h * (1 - h)).view(*grouped, height), (on_w * w * (1 - w)).view(*grouped, width)
    by_row = torch.einsum("bgos,bgis->oi", on_h, (row_sums / width).view(*grouped, height))
    by_column = torch.einsum("bgos,bgis->oi", on_w, (column_sums / height).view(*grouped, width))
    on_bias1 = on_h.sum((0, 1, 3)) + on_w.sum((0, 1, 3))
    matrix = conv1.flatten(1)
    on_rows, on_columns = (torch.einsum("oi,bgos->bgis", matrix, on) for on in (on_h / width, on_w / height))
    # the logits are W3 times the sums of x over nine windows, and b3
    seen = windows(x, row_sums, column_sums).view(*grouped, 3, 3) / (height * width)
    on_conv3 = torch.einsum("bgo,bgiuv->oiuv", on_logits, seen)
    on_seen = torch.einsum("bgo,oiuv->bgiuv", on_logits, conv3).flatten(1, 2) / (height * width)
    on_rows, on_columns, corners = unseen(on_seen, on_rows.flatten(1, 2), on_columns.flatten(1, 2))
    returned = Returned(slope.contiguous(), on_rows.contiguous(), on_columns.contiguous(), corners.contiguous())
    out, on_taps = spread(returned)
    on_conv3 = on_conv3 + fixed[:, None, None, None] * on_taps
    total = on_offset.sum()
    on_fixed = torch.einsum("iuv,oiuv->o", on_taps, conv3) + bias3 * total
    on_beta = (share * on_offset).sum((0, 1)) + fixed * (on_fixed - (fixed * on_fixed).sum())
    on_gamma = (share * sharp * apart).sum((0, 1))
    on_bias3 = on_logits.sum((0, 1)) + fixed * total
    parts = (by_row + by_column, on_bias1, on_gamma, on_beta, on_bias3, on_conv3)
    return out, torch.cat([part.flatten() for part in parts])


def windows(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Sums of x over what each of nine taps sees of it, (B, C, 3, 3): one that looks up misses the last row."""
    none = torch.zeros_like(rows[:, :, 0])
    missed = torch.stack((rows[:, :, -1], none, rows[:, :, 0]), 2)[:, :, :, None]
    left_out = torch.stack((columns[:, :, -1], none, columns[:, :, 0]), 2)[:, :, None]
    places = ((-1, -1), None, (-1, 0), None, None, None, (0, -1), None, (0, 0))  # the corner that a tap misses twice
    twice = [none if place is None else x[:, :, place[0], place[1]].float() for place in places]
    return rows.sum(2)[:, :, None, None] - missed - left_out + torch.stack(twice, 2).view(*rows.shape[:2], 3, 3)


def unseen(on_seen: Tensor, on_rows: Tensor, on_columns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of rows, columns and corners (top left, top right, bottom left, bottom right), the windows' added."""
    on_rows = on_rows + on_seen.sum((2, 3))[:, :, None]
    by_row, by_column = on_seen.sum(3), on_seen.sum(2)
    on_rows[:, :, -1] -= by_row[:, :, 0]
    on_rows[:, :, 0] -= by_row[:, :, 2]
    on_columns = on_columns.clone()
    on_columns[:, :, -1] -= by_column[:, :, 0]
    on_columns[:, :, 0] -= by_column[:, :, 2]
    return on_rows, on_columns, on_seen[:, :, ::2, ::2].flip((2, 3))
