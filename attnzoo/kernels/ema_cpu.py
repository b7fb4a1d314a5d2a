"""EMA's steps for the CPU: written into few buffers, a piece at a time that stays in the cache, with own gradients.

Only x is kept for the backward pass, which goes through the pieces again.
"""

# torch's `Function` is not annotated
# mypy: disable-error-code="no-untyped-call,no-any-return,misc"

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from attnzoo.kernels import ema_again
from attnzoo.kernels.ema import Steps, Weights, accumulator, attend, precise

PIECE = 2**19  # numbers: 2 MiB in float32, which a core's cache holds or nearly
CORNERS = ((0, 0), (0, -1), (-1, 0), (-1, -1))


def in_pieces(x: Tensor, groups: int, eps: float, weights: Weights) -> Tensor:
    """EMA of (B, C, H, W)."""
    result: Tensor = _InPieces.apply(x, groups, eps, *weights)
    return result


class _InPieces(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, groups: int, eps: float, *weights: Tensor) -> Tensor:
        ctx.save_for_backward(x, *weights)
        ctx.groups, ctx.eps = groups, eps
        out = torch.empty_like(x)
        written = out if out.is_contiguous() else torch.empty_like(x, memory_format=torch.contiguous_format)
        with precise(x):
            wide = accumulator(x)
            widened = Weights(*(weight.to(wide) for weight in weights))
            for piece, result in zip(_pieces(x.contiguous(), groups), _pieces(written, groups), strict=True):
                piece = piece.to(wide)
                torch.mul(piece, attend(piece, eps, widened, CPU).unsqueeze(1), out=result)
        return out if written is out else out.copy_(written)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, *weights = ctx.saved_tensors
        needed = [ctx.needs_input_grad[0], *ctx.needs_input_grad[3:]]
        if ema_again.asked(grad):
            first, *others = ema_again.gradients(x, ctx.groups, ctx.eps, Weights(*weights), needed, grad)
        else:
            with precise(x):
                found = iter(_gradients(x, grad, ctx.groups, ctx.eps, Weights(*weights), needed))
            first, *others = (next(found) if need else None for need in needed)
        return first, None, None, *others


def _gradients(x: Tensor, grad: Tensor, groups: int, eps: float, weights: Weights, needed: list[bool]) -> list[Tensor]:
    """Of x, where it needs one, then of the weights that do."""
    wide = accumulator(x)
    to_x, *to_weights = needed
    leaves = Weights(
        *(one.detach().to(wide).requires_grad_(need) for one, need in zip(weights, to_weights, strict=True))
    )
    learned = [leaf for leaf in leaves if leaf.requires_grad]
    totals = [torch.zeros_like(leaf) for leaf in learned]
    out = torch.empty_like(x, memory_format=torch.contiguous_format)
    for piece, pull, result in zip(*(_pieces(one.contiguous(), groups) for one in (x, grad, out)), strict=True):
        piece, pull = piece.to(wide), pull.to(wide)
        leaf = piece.detach().requires_grad_(to_x)
        with torch.enable_grad():
            factor = attend(leaf, eps, leaves, CPU)
        found = list(torch.autograd.grad(factor, [leaf, *learned] if to_x else learned, (pull * piece).sum(1)))
        if to_x:
            torch.addcmul(found.pop(0), pull, factor.detach().unsqueeze(1), out=result)
        for total, part in zip(totals, found, strict=True):
            total += part
    return [out, *totals] if to_x else totals  # autograd gives each its weight's type


def _pieces(x: Tensor, groups: int) -> tuple[Tensor, ...]:
    """Contiguous (B, C, H, W) as pieces (N, c, H, W) of about `PIECE` numbers, at least a group each."""
    every = x.view(x.shape[0] * groups, x.shape[1] // groups, *x.shape[2:])
    return every.split(max(1, PIECE // max(1, every.shape[1:].numel())))


class _Strips(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return x.sum(3), x.sum(2), torch.stack([x[:, :, i, j] for i, j in CORNERS], 1)

    @staticmethod
    def backward(ctx: Any, rows: Tensor, columns: Tensor, corners: Tensor) -> Tensor:
        grad = rows[..., None] + columns[:, :, None]
        for corner, (i, j) in enumerate(CORNERS):
            grad[:, :, i, j] += corners[:, corner]
        return grad


class _Moments(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, h: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
        y = x * h[..., None]
        y *= w[:, :, None]
        y -= y.mean((2, 3), keepdim=True)
        variance = torch.linalg.vector_norm(y, dim=3).square_().sum(2).div_(x.shape[2:].numel())
        ctx.save_for_backward(x, h, w, y)
        return y, variance

    @staticmethod
    def backward(ctx: Any, to_y: Tensor, to_variance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, h, w, y = ctx.saved_tensors
        grad = torch.addcmul(to_y, y, (to_variance * (2 / x.shape[2:].numel()))[..., None, None])
        grad -= grad.mean((2, 3), keepdim=True)  # y was centred
        pulled = (grad * x).flatten(0, 1)  # (N·c, H, W)
        to_h = torch.bmm(pulled, w.flatten(0, 1).unsqueeze(2)).view(h.shape)
        to_w = torch.bmm(h.flatten(0, 1).unsqueeze(1), pulled).view(w.shape)
        grad *= h[..., None]
        grad *= w[:, :, None]
        return grad, to_h, to_w


class _Factor(Function):
    """The convolution sums over channels and rows first, by matrix products into three maps, and then over columns."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, taps: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
        count, width = len(x), x.shape[3]
        above, level, below = taps.permute(1, 2, 0).unsqueeze(1).expand(-1, count, -1, -1)  # (N, 3, c) each
        sums = torch.bmm(level, x.flatten(2))  # (N, 3, H·W)
        sums[:, :, width:].baddbmm_(above, x[:, :, :-1].flatten(2))
        sums[:, :, :-width].baddbmm_(below, x[:, :, 1:].flatten(2))
        sums[:, 1:2].baddbmm_(scale.unsqueeze(1), y.flatten(2))
        left, factor, right = sums.view(count, 3, *x.shape[2:]).unbind(1)
        factor[..., 1:] += left[..., :-1]
        factor[..., :-1] += right[..., 1:]
        factor += offset[:, None, None]
        factor = factor.sigmoid()
        ctx.save_for_backward(x, y, taps, scale, factor)
        return factor

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        x, y, taps, scale, factor = ctx.saved_tensors
        count, _, _, width = x.shape
        grad = torch.ops.aten.sigmoid_backward(grad, factor)
        columns = grad.new_zeros(count, 3, *x.shape[2:])  # what the left, the same and the right column is met by
        columns[:, 0, :, :-1] = grad[..., 1:]
        columns[:, 1] = grad
        columns[:, 2, :, 1:] = grad[..., :-1]
        above, level, below = taps.transpose(0, 1).unsqueeze(1).expand(-1, count, -1, -1)  # (N, c, 3) each
        to_x = torch.bmm(level, columns.flatten(2))  # (N, c, H·W)
        to_x[:, :, :-width].baddbmm_(above, columns[:, :, 1:].flatten(2))
        to_x[:, :, width:].baddbmm_(below, columns[:, :, :-1].flatten(2))
        met = ((x[:, :, :-1], columns[:, :, 1:]), (x, columns), (x[:, :, 1:], columns[:, :, :-1]))
        to_taps = torch.stack([torch.bmm(a.flatten(2), b.flatten(2).transpose(1, 2)).sum(0) for a, b in met], 1)
        to_scale = (y * grad.unsqueeze(1)).sum((2, 3))  # a matrix product would round more
        to_y = scale[..., None, None] * grad.unsqueeze(1)
        return to_x.view(x.shape), to_y, to_taps, to_scale, grad.sum((1, 2))


CPU = Steps(_Strips.apply, _Moments.apply, _Factor.apply)
