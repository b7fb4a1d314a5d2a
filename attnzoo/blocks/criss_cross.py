"""Criss-cross attention (CCNet): Huang et al., ICCV 2019."""

from contextlib import nullcontext
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from attnzoo.blocks._parts import CONV
from attnzoo.errors import AttnzooError
from attnzoo.registry import check_form, register


@register(
    "criss_cross",
    paper="Huang et al.: CCNet: Criss-Cross Attention for Semantic Segmentation",
    year=2019,
    reference="https://arxiv.org/abs/1811.11721",
    code="https://github.com/speedinghzl/CCNet",
    licence="MIT",
)
class CrissCross(nn.Module):
    """Adds to each position a mean over its row and its column, in which positions that resemble it weigh most.

    Three 1×1 convolutions give every position a query, a key and a value. One softmax over row and column, where the
    position itself counts once, of a query's products with the keys weighs the values. What comes out is scaled by one
    learned number, 0 at the start: the block begins as the identity. It has about channels²·(1 + 2/reduction)
    parameters, of which the bias of the keys, which a softmax cannot see, never learns. In one pass it costs about
    channels·(height + width) multiply-adds per position beside its convolutions, and holds height + width weights per
    position: 134 MB a sample at 256×256.

    Args:
        channels: Width of the skip.
        reduction: Queries and keys are `channels // reduction` wide, which must be at least 1; 8 is the authors' value.
        recurrence: How many passes, with the same weights, from 1 up. 1 is the paper's module; 2, as in its networks,
            lets every position hear of every other.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S.

    Reference:
        https://arxiv.org/abs/1811.11721; https://github.com/speedinghzl/CCNet (MIT).

    Deviations:
        None in the equations. The attention is computed in 32 bits, under autocast too, and on whatever device the skip
        is: the authors' code in pure PyTorch is bound to one and fails in half precision. In 3-D one softmax is over
        the three lines through a position, which counts once as in 2-D; in their repository's 3-D code it counts twice.
    """

    kind: ClassVar[Literal["add"]] = "add"

    def __init__(self, channels: int, *, reduction: int = 8, recurrence: int = 1, dims: Literal[2, 3] = 2) -> None:
        super().__init__()
        check_form("criss_cross", dims, channels=channels)
        if not 1 <= reduction <= channels:
            raise AttnzooError(
                f"`criss_cross` cannot reduce {channels} channels by reduction={reduction}",
                f"with {channels} channels, reduction is 1 to {channels}",
            )
        if recurrence < 1:
            raise AttnzooError(f"`criss_cross` cannot pass recurrence={recurrence} times", "`recurrence` is 1 or more")
        self.recurrence = recurrence
        self.query_conv = CONV[dims](channels, channels // reduction, 1)
        self.key_conv = CONV[dims](channels, channels // reduction, 1)
        self.value_conv = CONV[dims](channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.added(x)

    def added(self, x: Tensor) -> Tensor:
        added = self._attend(x)
        for _ in range(1, self.recurrence):
            added = added + self._attend(x + added)
        return added  # (B, C, *S)

    def _attend(self, x: Tensor) -> Tensor:
        wide, axes = torch.promote_types(x.dtype, torch.float32), range(1, x.ndim - 1)  # axes of S in (B, *S, …)
        query, key, value = (
            layer(x).movedim(1, -1).to(wide) for layer in (self.query_conv, self.key_conv, self.value_conv)
        )
        # not every device knows autocast: `meta` does not
        kind = x.device.type
        with torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext():
            lines = [_compare(query.movedim(axis, -2), key.movedim(axis, -2), axis < axes[-1]) for axis in axes]
            energy = torch.cat([line.movedim(-2, axis) for line, axis in zip(lines, axes, strict=True)], -1)
            attention = torch.split(energy.softmax(-1), [*x.shape[2:]], -1)  # for each axis (B, *S, L)
            attended = [
                (weight.movedim(axis, -2) @ value.movedim(axis, -2)).movedim(-2, axis)  # (B, *S, C)
                for weight, axis in zip(attention, axes, strict=True)
            ]
        return self.gamma * torch.stack(attended).sum(0).movedim(-1, 1).to(x.dtype)  # (B, C, *S)


def _compare(query: Tensor, key: Tensor, others_only: bool) -> Tensor:
    """Products along lines of length L, (…, L, d) → (…, L, L); one axis alone keeps the position itself."""
    energy = query @ key.transpose(-1, -2)
    own = torch.eye(energy.shape[-1], dtype=torch.bool, device=energy.device)
    return energy.masked_fill(own, -torch.inf) if others_only else energy
