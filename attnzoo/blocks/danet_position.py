"""The position attention of DANet: Fu et al., CVPR 2019."""

import math
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attnzoo.blocks._parts import CONV
from attnzoo.errors import AttnzooError
from attnzoo.registry import check_form, register


@register(
    "danet_position",
    paper="Fu et al.: Dual Attention Network for Scene Segmentation",
    year=2019,
    reference="https://arxiv.org/abs/1809.02983",
    code="https://github.com/junfu1115/DANet",
    licence="MIT",
)
class DANetPosition(nn.Module):
    """Adds to each position a mean over all positions, in which those that resemble it weigh most.

    Three 1×1 convolutions give every position a query, a key and a value. The softmax, over all positions, of a query's
    products with the keys weighs the values. What comes out is scaled by one learned number, 0 at the start: the block
    begins as the identity. It has about channels²·(1 + 2/reduction) parameters; the bias of the keys, which a softmax
    cannot see, never learns. With N positions it costs 2·channels·N² multiply-adds: four times the positions, sixteen
    times the work. The N×N weights themselves are never held where torch has a fused kernel, so that memory grows with
    N only.

    Args:
        channels: Width of the skip.
        reduction: Queries and keys are `channels // reduction` wide, which must be at least 1; 8 is the authors' value.
        positions: The largest number of positions that `check_size` takes, from 1 up, which changes nothing else;
            16384 is a map of 128×128, on which a forward pass costs about 7·10¹⁰ multiply-adds at 128 channels.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S; rehearsal refuses more than `positions`.

    Reference:
        https://arxiv.org/abs/1809.02983; https://github.com/junfu1115/DANet (MIT).

    Deviations:
        None in the output. Queries and keys are filled up with zeros to the width of the values, since torch's fused
        attention asks for equal widths. Its backward pass takes the weights anew from the queries' products with the
        keys, and is inexact where these are huge: on a CPU the gradient of x is right within 3·10⁻³ on standard normal
        maps times 100, off by about 15 % on such times 1000, and of no use beyond. 3-D is ours.
    """

    kind: ClassVar[Literal["add"]] = "add"

    def __init__(
        self, channels: int, *, reduction: int = 8, positions: int = 128 * 128, dims: Literal[2, 3] = 2
    ) -> None:
        super().__init__()
        check_form("danet_position", dims, channels=channels)
        if not 1 <= reduction <= channels:
            raise AttnzooError(
                f"`danet_position` cannot reduce {channels} channels by reduction={reduction}",
                f"with {channels} channels, reduction is 1 to {channels}",
            )
        if positions < 1:
            raise AttnzooError(f"`danet_position` cannot relate positions={positions}", "`positions` is 1 or more")
        self.positions = positions
        self.filling = channels - channels // reduction
        self.query_conv = CONV[dims](channels, channels // reduction, 1)
        self.key_conv = CONV[dims](channels, channels // reduction, 1)
        self.value_conv = CONV[dims](channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def check_size(self, size: tuple[int, ...]) -> None:
        """Refuse a map of more than `positions`."""
        if math.prod(size) > self.positions:
            raise AttnzooError(
                f"`danet_position` cannot relate the {math.prod(size)} positions of a map of {'×'.join(map(str, size))}"
                f" with positions={self.positions}",
                f"place it at a coarser level, or write `positions={math.prod(size)}`: its time grows with the square",
            )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.added(x)

    def added(self, x: Tensor) -> Tensor:
        query, key, value = (_tokens(layer(x)) for layer in (self.query_conv, self.key_conv, self.value_conv))
        query, key = (F.pad(narrow, (0, self.filling)) for narrow in (query, key))  # (B, 1, N, C), as value
        attended = F.scaled_dot_product_attention(query, key, value, scale=1.0)  # (B, 1, N, C)
        return self.gamma * attended.transpose(2, 3).reshape(x.shape)  # (B, C, *S)


def _tokens(maps: Tensor) -> Tensor:
    """(B, C, *S) → (B, 1, N, C): one head, and each position's vector in one piece, as fused kernels want it."""
    return maps.flatten(2).transpose(1, 2).unsqueeze(1).contiguous()
