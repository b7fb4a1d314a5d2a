"""Polarized self-attention (PSA): Liu et al., arXiv 2021."""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from attnzoo.blocks._parts import CONV
from attnzoo.errors import AttnzooError
from attnzoo.registry import check_form, register

REDUCTION = 4  # of the sequential layout's bottleneck


@register(
    "polarized",
    paper="Liu et al.: Polarized Self-Attention: Towards High-quality Pixel-wise Regression",
    year=2021,
    reference="https://arxiv.org/abs/2107.00782",
    code="https://github.com/DeLightCMU/PSA",
)
class Polarized(nn.Module):
    """Scales each channel by what its attended positions hold, and each position by what its attended channels hold.

    Channels: one query map, with a softmax over all positions, picks a vector of channels/2 values, which is projected
    to all channels and ends in a sigmoid. Positions: the mean of a query of channels/2 values meets the values at each
    position, and ends in a sigmoid. In the parallel layout both factors are added, so that the skip keeps about its
    size; in the sequential one the second sees the skip that the first has scaled, and they are multiplied. The
    parallel layout has 2·channels² + channels parameters; both take about 3/2·channels² multiply-adds a position.

    In the authors' code a softmax over the positions stands before the last sigmoid (parallel), or is taken of the
    values (sequential): on a large map each position's share is about 0, and its factor one half almost everywhere.
    `variant=paper` has its softmax over the channels of the query, and does not fade with the size of the map.

    Args:
        channels: Width of the skip, 2 or more; for the authors' sequential layout 8 or more, and 16 for its norm to
            have more than one value.
        layout: `parallel` adds the two factors, as the paper's PSA (p); `sequential` multiplies them, as its PSA (s).
        variant: `authors` as in their code; `paper` as in its equations, which are the same in both layouts but for the
            sum: a layer norm after the projection, a softmax over the query's channels and none over positions.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S.

    Reference:
        https://arxiv.org/abs/2107.00782; https://github.com/DeLightCMU/PSA (no licence).

    Deviations:
        Follows the authors' code by default. Products of queries and values, and their sums, are made in float32 at
        least: in half precision they overflow. Weights start as PyTorch's layers do, and not from He's normal
        distribution. 3-D is ours.
    """

    kind: ClassVar[Literal["scale"]] = "scale"

    def __init__(
        self,
        channels: int,
        *,
        layout: Literal["parallel", "sequential"] = "parallel",
        variant: Literal["authors", "paper"] = "authors",
        dims: Literal[2, 3] = 2,
    ) -> None:
        super().__init__()
        check_form("polarized", dims, channels=channels)
        inner = channels // 2
        bottleneck = (layout, variant) == ("sequential", "authors")
        least = 2 * REDUCTION if bottleneck else 2
        if channels < least:
            raise AttnzooError(
                f"`polarized` cannot halve {channels} channels with layout={layout} and variant={variant}",
                f"it takes {least} channels or more",
            )
        conv, ones = CONV[dims], [1] * dims
        self.layout = layout
        self.conv_q_right = conv(channels, 1, 1, bias=False)
        self.conv_v_right = conv(channels, inner, 1, bias=False)
        self.conv_up: nn.Module = conv(inner, channels, 1, bias=False)
        if variant == "paper":
            self.conv_up = nn.Sequential(self.conv_up, nn.LayerNorm([channels, *ones]))
        elif bottleneck:
            narrow = inner // REDUCTION
            self.conv_up = nn.Sequential(
                conv(inner, narrow, 1), nn.LayerNorm([narrow, *ones]), nn.ReLU(), conv(narrow, channels, 1)
            )
        self.conv_q_left = conv(channels, inner, 1, bias=False)
        self.conv_v_left = conv(channels, inner, 1, bias=False)
        self.softmax_q = nn.Softmax(1) if variant == "paper" else nn.Identity()
        self.softmax_v = nn.Softmax(2) if bottleneck else nn.Identity()
        self.softmax_left = nn.Softmax(2) if (layout, variant) == ("parallel", "authors") else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights(x)

    def weights(self, x: Tensor) -> Tensor:
        channel = self.channel(x)  # (B, C, 1, 1)
        if self.layout == "parallel":
            return channel + self.position(x)  # (B, C, *S)
        return channel * self.position(x * channel)  # (B, C, *S)

    def channel(self, x: Tensor) -> Tensor:
        query = _wide(self.conv_q_right(x)).flatten(2).softmax(2)  # (B, 1, P)
        picked = (_wide(self.conv_v_right(x)).flatten(2) * query).sum(2)  # (B, C/2)
        picked = picked.to(x.dtype).reshape(*picked.shape, *[1] * (x.ndim - 2))  # (B, C/2, 1, 1)
        factor: Tensor = self.conv_up(picked).sigmoid()
        return factor  # (B, C, 1, 1)

    def position(self, x: Tensor) -> Tensor:
        query = self.softmax_q(_wide(self.conv_q_left(x)).flatten(2).mean(2, keepdim=True))  # (B, C/2, 1)
        values = self.softmax_v(_wide(self.conv_v_left(x)).flatten(2))  # (B, C/2, P)
        logits: Tensor = self.softmax_left((query * values).sum(1, keepdim=True))  # (B, 1, P)
        return logits.sigmoid().to(x.dtype).reshape(x.shape[0], 1, *x.shape[2:])  # (B, 1, *S)


def _wide(x: Tensor) -> Tensor:
    """In float32 at least, where sums of products have room."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
