"""EMA's backward pass: passes for what is as large as x and for the small maths between, or torch's words for it."""

# torch's `Function` is not annotated
# mypy: disable-error-code="no-untyped-call,no-any-return,misc,untyped-decorator"

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from attnzoo.kernels.triton import returning
from attnzoo.kernels.triton.kept import Kept, views
from attnzoo.kernels.triton.operators import PLAIN, REGISTERED, Passes

Grads = tuple[Tensor | None, ...]


class Eager(Function):
    """All of EMA where nothing is traced, by the plain functions."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, groups: int, *weights_and_eps: Any) -> Tensor:
        *weights, ctx.eps = weights_and_eps
        out, buffer = PLAIN.forward(x, groups, *weights, ctx.eps)
        ctx.groups = groups
        ctx.save_for_backward(x, *weights, buffer)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Grads:
        return _backward(PLAIN, ctx, grad)


def keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, ctx.groups, *weights, ctx.eps = inputs
    ctx.set_materialize_grads(False)  # only the output has one
    ctx.save_for_backward(x, *weights, output[1])


def backward(ctx: Any, grad: Tensor, *_: None) -> Grads:
    """That of the registered operator."""
    return _backward(REGISTERED, ctx, grad)


def _backward(passes: Passes, ctx: Any, grad: Tensor) -> Grads:
    """Two passes over x, its gradient and m's, one that finds m's, and small maths; x's gradient is written once."""
    x, *weights, buffer = ctx.saved_tensors
    groups, eps = ctx.groups, ctx.eps
    kept = views(buffer, x.shape, groups)
    with torch.autocast(x.device.type, enabled=False):
        push, factor = passes.press(x, kept.taps, kept.scale, kept.mean, kept.h, kept.w, kept.offset, grad)
        rows, columns = passes.slopes(x, kept.h, kept.w, push, kept.mean)
        pushed = push.sum((2, 3))
        large = (x, kept.h, kept.w, grad, factor, push, kept.taps, kept.scale, kept.mean)
        if returning.serves(x.shape[1] // groups):
            conv1, _, gamma, beta, conv3, bias3 = weights
            *small, shares = passes.back(x, rows, columns, pushed, buffer, groups, conv1, gamma, beta, conv3, eps)
            found, on_taps = passes.spread(*large, *small)
            to_weights = returning.named(passes.close(shares, on_taps, beta, conv3, bias3), conv1, conv3)
        else:
            found, to_weights = plainly(passes, large, rows, columns, pushed, kept, groups, eps, *weights)
    typed = (gradient.to(given.dtype) for gradient, given in zip(to_weights, weights, strict=True))
    return found, None, *typed, None


def plainly(
    passes: Passes, large: tuple[Tensor, ...], rows: Tensor, columns: Tensor, pushed: Tensor, kept: Kept, groups: int,
    eps: float, conv1: Tensor, bias1: Tensor, gamma: Tensor, beta: Tensor, conv3: Tensor, bias3: Tensor,
) -> tuple[Tensor, tuple[Tensor, ...]]:  # fmt: skip
    """The small maths in torch's words, for what no program can hold: x's gradient, and those of the weights."""
    h, w, row_sums, column_sums, logits, mean, variance, scale, *_ = kept
    x = large[0]
    height, width = x.shape[2:]
    conv1, gamma, beta, conv3, bias3 = (weight.float() for weight in (conv1, gamma, beta, conv3, bias3))
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
    found, on_taps = passes.spread(*large, slope, on_rows, on_columns, corners)
    on_conv3 = on_conv3 + fixed[:, None, None, None] * on_taps
    total = on_offset.sum()
    on_fixed = torch.einsum("iuv,oiuv->o", on_taps, conv3) + bias3 * total
    on_beta = (share * on_offset).sum((0, 1)) + fixed * (on_fixed - (fixed * on_fixed).sum())
    on_gamma = (share * sharp * apart).sum((0, 1))
    on_bias3 = on_logits.sum((0, 1)) + fixed * total
    return found, ((by_row + by_column)[:, :, None, None], on_bias1, on_gamma, on_beta, on_conv3, on_bias3)


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


REGISTERED.forward.register_autograd(backward, setup_context=keep)  # type: ignore[attr-defined]
