"""Triplet attention: Misra et al., WACV 2021."""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from attnzoo.blocks._parts import BATCH_NORM, CONV
from attnzoo.errors import AttnzooError
from attnzoo.registry import check_form, register


@register(
    "triplet",
    paper="Misra et al.: Rotate to Attend: Convolutional Triplet Attention Module",
    year=2021,
    reference="https://arxiv.org/abs/2010.03045",
    code="https://github.com/landskape-ai/triplet-attention",
    licence="MIT",
)
class TripletAttention(nn.Module):
    """Scales each value by the mean of three maps: over rows and columns, channels and columns, channels and rows.

    For each map the skip is turned so that the axis to be left out takes the channels' place; the maximum and the mean
    along it go through one large convolution, a batch norm and a sigmoid. It has 2·kernel² + 2 parameters for each map,
    whatever the width, and 2·kernel² multiply-adds for each place of each map.

    Args:
        channels: Width of the skip; any.
        kernel: Edge of the convolutions, odd; 7 is the paper's value.
        spatial: Whether the map over rows and columns is one of them; without it, the two others are averaged.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S.

    Reference:
        https://arxiv.org/abs/2010.03045; https://github.com/landskape-ai/triplet-attention (MIT).

    Deviations:
        Follows the authors' code, batch norm of momentum 0.01 included; `spatial=False` is its `no_spatial`. The maps
        are averaged before the skip is multiplied, which is equal. Where several values are the maximum, they share the
        gradient; in the authors' code one of them gets it all. A norm that gets one value in training uses its running
        statistics, where theirs fails. 3-D is ours: each of four axes is left out once, and the kernel is a cube.
    """

    kind: ClassVar[Literal["scale"]] = "scale"

    def __init__(self, channels: int, *, kernel: int = 7, spatial: bool = True, dims: Literal[2, 3] = 2) -> None:
        super().__init__()
        check_form("triplet", dims, channels=channels)
        if kernel < 1 or kernel % 2 == 0:
            raise AttnzooError(f"`triplet` cannot centre kernel={kernel}", "a kernel is odd, such as 3 or 7")
        self.left_out = tuple(range(1 if spatial else 2, 2 + dims))
        self.gates = nn.ModuleList(
            nn.Sequential(CONV[dims](2, 1, kernel, padding=kernel // 2, bias=False), BATCH_NORM[dims](1, momentum=0.01))
            for _ in self.left_out
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights(x)

    def weights(self, x: Tensor) -> Tensor:
        maps = []
        for axis, gate in zip(self.left_out, self.gates, strict=True):
            turned = x.transpose(1, axis)  # (B, H, C, W), as an example
            pooled = torch.cat([turned.amax(1, keepdim=True), turned.mean(1, keepdim=True)], 1)  # (B, 2, C, W)
            maps.append(gate(pooled).sigmoid().transpose(1, axis))  # (B, C, 1, W)
        total: Tensor = sum(maps)
        return total / len(maps)  # (B, C, *S)
