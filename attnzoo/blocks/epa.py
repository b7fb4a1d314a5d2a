"""Efficient paired attention (EPA) of UNETR++: Shaker et al., TMI 2024."""

import math
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attnzoo.errors import AttnzooError, divisors, listing
from attnzoo.registry import check_form, register


@register(
    "epa",
    paper="Shaker et al.: UNETR++: Delving into Efficient and Accurate 3D Medical Image Segmentation",
    year=2024,
    reference="https://arxiv.org/abs/2212.04497",
    code="https://github.com/Amshaker/unetr_plus_plus",
    licence="Apache-2.0",
)
class EPA(nn.Module):
    """Replaces the skip by two views of it: in half of the channels positions have been mixed, in the other channels.

    Both branches share queries and keys. The spatial one brings the N keys and values down to `projection`, by a linear
    layer over the positions, and attends to them; the channel one attends to channels by their products over the map.
    Each has values of its own, and its output is projected to half of the width. The layer over positions binds the
    block to one size of map. It has 5·channels² + channels + projection·(N + 1) + 2·heads parameters, and costs about
    5·channels² + 4·channels·projection + 2·channels²/heads multiply-adds per position: linear in N. It has no residual;
    UNETR++ has a layer norm before it and a residual, scaled by 10⁻⁶ at the start, around both: neither is part of it,
    and a slot's `residual` gives the like of the second.

    Args:
        channels: Width of the skip; even, and a multiple of `heads`.
        size: The map's edges, each from 1 up: (height, width), or (depth, height, width) in 3-D; one number stands for
            all of them. 16 is the authors' second stage. `check_size` and `forward` refuse any other map.
        heads: How many groups of channels attend for themselves; 4 is the authors' value.
        projection: To how many the positions' keys and values are brought down, from 1 up; 64 is the authors' value.
        variant: `paper` gives every position its own result. `authors` is their code, whose spatial branch lays the
            result out in another order than it is read in, so that positions and channels are scrambled, which they
            have confirmed: for weights trained with it.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for S = `size`.

    Reference:
        https://arxiv.org/abs/2212.04497; https://github.com/Amshaker/unetr_plus_plus (Apache-2.0).

    Deviations:
        The default follows the paper and not the code behind its results, see `variant`: the authors agree that the
        code's order is a slip, and found no difference in their scores without it. Their dropout on both attentions,
        0.1 by default, is left out.
        Queries and keys are brought to length 1 in 32 bits, since squares summed over a map overflow 16. 2-D is ours.
    """

    kind: ClassVar[Literal["mix"]] = "mix"

    def __init__(
        self,
        channels: int,
        *,
        size: int | tuple[int, ...] = 16,
        heads: int = 4,
        projection: int = 64,
        variant: Literal["authors", "paper"] = "paper",
        dims: Literal[2, 3] = 2,
    ) -> None:
        super().__init__()
        check_form("epa", dims, channels=channels)
        edges = (size,) * dims if isinstance(size, int) else size
        if len(edges) != dims or min(edges) < 1:
            raise AttnzooError(
                f"`epa` cannot be bound to size={size}", f"give one edge, or {dims} of them, from 1 up: `size=16`"
            )
        if channels % 2:
            raise AttnzooError(f"`epa` cannot halve {channels} channels", "place it where the width is even")
        if heads not in divisors(channels):
            raise AttnzooError(
                f"`epa` cannot split {channels} channels into heads={heads}",
                f"`heads` is {listing(divisors(channels))}",
            )
        if projection < 1:
            raise AttnzooError(f"`epa` cannot bring positions down to {projection=}", "`projection` is 1 or more")
        self.size, self.heads = edges, heads
        self.order = (0, 2, 1, 3) if variant == "paper" else (0, 3, 1, 2)
        self.qkvv = nn.Linear(channels, 4 * channels, bias=False)
        self.E = nn.Linear(math.prod(edges), projection)
        self.temperature, self.temperature2 = (nn.Parameter(torch.ones(heads, 1, 1)) for _ in range(2))
        self.out_proj = nn.Linear(channels, channels // 2)
        self.out_proj2 = nn.Linear(channels, channels // 2)

    def check_size(self, size: tuple[int, ...]) -> None:
        """Refuse a map of another size."""
        if size != self.size:
            bound, given = ("×".join(map(str, edges)) for edges in (self.size, size))
            raise AttnzooError(f"`epa` cannot take a map of {given}, bound to {bound}", f"write `size={size}`")

    def forward(self, x: Tensor) -> Tensor:
        self.check_size(tuple(x.shape[2:]))
        every = self.qkvv(x.flatten(2).transpose(1, 2)).unflatten(2, (4, self.heads, -1))  # (B, N, 4, heads, d)
        q, k, v_channel, v_spatial = every.permute(2, 0, 3, 4, 1).unbind()  # (B, heads, d, N), each
        query, keys, values = _unit(q), self.E(k).transpose(2, 3), self.E(v_spatial).transpose(2, 3)  # both (…, P, d)
        alike = (query @ _unit(k).transpose(2, 3) * self.temperature).softmax(3)  # (B, heads, d, d)
        by_channel = (alike.to(q.dtype) @ v_channel).permute(0, 3, 1, 2).flatten(2)  # (B, N, C)
        seeking = (query * self.temperature2).transpose(2, 3).to(q.dtype)  # (B, heads, N, d)
        found = F.scaled_dot_product_attention(seeking, keys, values, scale=1.0)  # (B, heads, N, d)
        by_position = found.permute(self.order).reshape(by_channel.shape)  # (B, N, C)
        joined = torch.cat([self.out_proj(by_position), self.out_proj2(by_channel)], 2)  # (B, N, C)
        return joined.transpose(1, 2).reshape(x.shape)  # (B, C, *S)


def _unit(maps: Tensor) -> Tensor:
    """Each channel's map, brought to length 1."""
    wide = maps.to(torch.promote_types(maps.dtype, torch.float32))
    return F.normalize(wide, dim=3).to(maps.dtype)
