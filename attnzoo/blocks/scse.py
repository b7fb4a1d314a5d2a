"""Concurrent spatial and channel squeeze-and-excitation (scSE): Roy et al., MICCAI 2018."""

from typing import ClassVar, Literal

from torch import Tensor, nn

from attnzoo.blocks._parts import CONV
from attnzoo.errors import AttnzooError
from attnzoo.kernels import fused
from attnzoo.registry import check_form, register


@register(
    "scse",
    paper="Roy et al.: Concurrent Spatial and Channel Squeeze & Excitation in Fully Convolutional Networks",
    year=2018,
    reference="https://arxiv.org/abs/1803.02579",
    code="https://github.com/ai-med/squeeze_and_excitation",
    licence="MIT",
)
class SCSE(nn.Module):
    """Scales the skip twice, by one number per channel and by one per position, and fuses both results.

    Channels: their means go through two dense layers with a bottleneck between them, as in `se`. Positions: a 1×1
    convolution to a single map. Both end in a sigmoid. It has about 2·channels²/reduction parameters, and little more
    than channels multiply-adds per position.

    Args:
        channels: Width of the skip.
        reduction: The bottleneck is `channels // reduction` wide, which must be at least 1; 2 is the paper's value, 16
            that of segmentation-models-pytorch.
        fuse: `max`, the larger of both results in each place, as in the authors' code; `sum`, as in the paper and in
            segmentation-models-pytorch.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S.

    Reference:
        https://arxiv.org/abs/1803.02579; https://github.com/ai-med/squeeze_and_excitation (MIT).

    Deviations:
        Follows the authors' code, which takes the maximum where the paper adds. The maximum of both results is written
        as one factor, the larger one where the skip is positive, the smaller one where it is negative, and their mean
        where it is zero, which gives the same gradient too. The dense layers are written as 1×1 convolutions.
    """

    kind: ClassVar[Literal["scale"]] = "scale"

    def __init__(
        self, channels: int, *, reduction: int = 2, fuse: Literal["max", "sum"] = "max", dims: Literal[2, 3] = 2
    ) -> None:
        super().__init__()
        check_form("scse", dims, channels=channels)
        if not 1 <= reduction <= channels:
            raise AttnzooError(
                f"`scse` cannot reduce {channels} channels by reduction={reduction}",
                f"with {channels} channels, reduction is 1 to {channels}",
            )
        self.fc1 = CONV[dims](channels, channels // reduction, 1)
        self.fc2 = CONV[dims](channels // reduction, channels, 1)
        self.conv = CONV[dims](channels, 1, 1)
        self.fuse = fuse

    @fused("scse")
    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights(x)

    def weights(self, x: Tensor) -> Tensor:
        channel, position = self.factors(x)
        if self.fuse == "sum":
            return channel + position  # (B, C, *S)
        # the factor w for which x·w is the maximum of x·channel and x·position
        return (channel + position + x.sign() * (channel - position).abs()) / 2  # (B, C, *S)

    def factors(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Those of channels and of positions."""
        means = x.mean(list(range(2, x.ndim)), keepdim=True)  # (B, C, 1, 1)
        channel = self.fc2(self.fc1(means).relu()).sigmoid()  # (B, C, 1, 1)
        position = self.conv(x).sigmoid()  # (B, 1, *S)
        return channel, position
