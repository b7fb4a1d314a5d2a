"""Coordinate attention: Hou et al., CVPR 2021."""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attnzoo.blocks._parts import BATCH_NORM, CONV
from attnzoo.errors import AttnzooError
from attnzoo.kernels import fused
from attnzoo.registry import check_form, register

LEAST = 8


@register(
    "coord",
    paper="Hou et al.: Coordinate Attention for Efficient Mobile Network Design",
    year=2021,
    reference="https://arxiv.org/abs/2103.02907",
    code="https://github.com/houqb/CoordAttention",
    licence="MIT",
)
class CoordinateAttention(nn.Module):
    """Scales each value by two numbers, one for its row and one for its column, each per channel.

    The means of all rows and of all columns are put in one line; a 1×1 convolution to a bottleneck of width c, a batch
    norm and a hard swish follow. Then they part again, and a 1×1 convolution and a sigmoid for each give the factors.
    It has 3·channels·c + 3·c + 2·channels parameters (4·channels·c + 3·c + 3·channels in 3-D), and
    2·channels·c multiply-adds for each row and for each column.

    Args:
        channels: Width of the skip.
        reduction: The bottleneck is `channels // reduction` wide, and at least 8; from 1 up; 32 is the authors' value.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S.

    Reference:
        https://arxiv.org/abs/2103.02907; https://github.com/houqb/CoordAttention (MIT).

    Deviations:
        Follows the authors' code: biases in all convolutions, and at least 8 channels in the bottleneck. The means are
        written as means and not as adaptive pooling, which is equal, and deterministic on CUDA. 3-D is ours: the strip
        along an axis holds the means over both other axes, and there are three factors.
    """

    kind: ClassVar[Literal["scale"]] = "scale"

    def __init__(self, channels: int, *, reduction: int = 32, dims: Literal[2, 3] = 2) -> None:
        super().__init__()
        check_form("coord", dims, channels=channels)
        if reduction < 1:
            raise AttnzooError(
                f"`coord` cannot reduce {channels} channels by reduction={reduction}",
                f"`reduction` is 1 or more; the bottleneck is at least {LEAST} wide",
            )
        inner = max(LEAST, channels // reduction)
        axes = range(2, 2 + dims)
        # listed once: at each call that is 2 % of a small map's time
        self.across = [[other for other in axes if other != axis] for axis in axes]
        # over a line; but Conv1d and its norm take twice their time on the CPU
        self.conv1 = CONV[dims](channels, inner, 1)
        self.bn1 = BATCH_NORM[dims](inner)
        self.along = nn.ModuleList(CONV[dims](inner, channels, 1) for _ in range(dims))

    @fused("factor")
    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights(x)

    def weights(self, x: Tensor) -> Tensor:
        means = [x.mean(axes, keepdim=True) for axes in self.across]  # (B, C, H, 1), (B, C, 1, W), …
        line = torch.cat([mean.transpose(2, axis) for axis, mean in enumerate(means, 2)], 2)  # (B, C, ΣS, 1)
        line = F.hardswish(self.bn1(self.conv1(line)))  # (B, c, ΣS, 1)
        parts = line.split_with_sizes(x.shape[2:], 2)  # (B, c, H, 1), (B, c, W, 1), …
        factors = []
        for place, conv in enumerate(self.along):
            factors.append(conv(parts[place]).sigmoid().transpose(2, 2 + place))  # (B, C, H, 1), (B, C, 1, W), …
        product: Tensor = factors[0]
        for factor in factors[1:]:
            product = product * factor
        return product  # (B, C, *S)
