"""Convolutional block attention module (CBAM): Woo et al., ECCV 2018."""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from attnzoo.blocks._parts import BATCH_NORM, CONV
from attnzoo.errors import AttnzooError
from attnzoo.kernels import fused
from attnzoo.registry import check_form, register


@register(
    "cbam",
    paper="Woo et al.: CBAM: Convolutional Block Attention Module",
    year=2018,
    reference="https://arxiv.org/abs/1807.06521",
    code="https://github.com/Jongchan/attention-module",
    licence="MIT",
)
class CBAM(nn.Module):
    """Scales each channel by one number, and then each position by another.

    Channels: their means and their maxima go through one perceptron with a bottleneck, and are added. Positions: the
    maximum and the mean over the scaled channels go through one large convolution. Both end in a sigmoid. The
    perceptron has about 2·channels²/reduction parameters, the convolution 2·kernel² (2·kernel³ in 3-D).

    Args:
        channels: Width of the skip.
        reduction: The bottleneck is `channels // reduction` wide, which must be at least 1; 16 is the paper's value.
        kernel: Edge of the convolution over positions, odd; 7 is the paper's value.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S.

    Reference:
        https://arxiv.org/abs/1807.06521; https://github.com/Jongchan/attention-module (MIT).

    Deviations:
        Follows the authors' code where it differs from the paper: biases in the perceptron, a batch norm of momentum
        0.01 after the convolution, and the order maximum, mean. Where several values are the maximum, they share the
        gradient; in the authors' code one of them gets it all. The dense layers are written as 1×1 convolutions. 3-D is
        ours.
    """

    kind: ClassVar[Literal["scale"]] = "scale"

    def __init__(self, channels: int, *, reduction: int = 16, kernel: int = 7, dims: Literal[2, 3] = 2) -> None:
        super().__init__()
        check_form("cbam", dims, channels=channels)
        if not 1 <= reduction <= channels:
            raise AttnzooError(
                f"`cbam` cannot reduce {channels} channels by reduction={reduction}",
                f"with {channels} channels, reduction is 1 to {channels}",
            )
        if kernel < 1 or kernel % 2 == 0:
            raise AttnzooError(f"`cbam` cannot centre kernel={kernel}", "a kernel is odd, such as 3 or 7")
        inner = channels // reduction
        self.channel = nn.Sequential(CONV[dims](channels, inner, 1), nn.ReLU(), CONV[dims](inner, channels, 1))
        self.spatial = nn.Sequential(
            CONV[dims](2, 1, kernel, padding=kernel // 2, bias=False), BATCH_NORM[dims](1, momentum=0.01)
        )

    @fused("cbam")
    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights(x)

    def weights(self, x: Tensor) -> Tensor:
        channel, position, _ = self.factors(x)
        return channel * position  # (B, C, *S)

    def factors(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Those of channels and of positions, and x scaled by the first."""
        axes = list(range(2, x.ndim))
        mean, maximum = x.mean(axes, keepdim=True), x.amax(axes, keepdim=True)  # (B, C, 1, 1), both
        channel: Tensor = (self.channel(mean) + self.channel(maximum)).sigmoid()  # (B, C, 1, 1)
        scaled = x * channel
        pooled = torch.cat([scaled.amax(1, keepdim=True), scaled.mean(1, keepdim=True)], 1)  # (B, 2, *S)
        position: Tensor = self.spatial(pooled).sigmoid()  # (B, 1, *S)
        return channel, position, scaled
