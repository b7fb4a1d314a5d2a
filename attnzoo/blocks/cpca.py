"""Channel prior convolutional attention (CPCA): Huang et al., Computers in Biology and Medicine 2024."""

from typing import ClassVar, Literal

from torch import Tensor, nn

from attnzoo.blocks._parts import CONV
from attnzoo.errors import AttnzooError
from attnzoo.registry import check_form, register

STRIPS = (7, 11, 21)  # the lengths of the paper's strips


class _Prior(nn.Module):
    """The paper's channel attention: how much of each channel, 0 to 2."""

    def __init__(self, channels: int, inner: int, dims: Literal[2, 3]) -> None:
        super().__init__()
        self.fc1 = CONV[dims](channels, inner, 1)
        self.fc2 = CONV[dims](inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        axes = list(range(2, x.ndim))
        mean, maximum = x.mean(axes, keepdim=True), x.amax(axes, keepdim=True)  # (B, C, 1, 1), both
        prior: Tensor = self.fc2(self.fc1(mean).relu()).sigmoid() + self.fc2(self.fc1(maximum).relu()).sigmoid()
        return prior  # (B, C, 1, 1)


@register(
    "cpca",
    paper="Huang et al.: Channel Prior Convolutional Attention for Medical Image Segmentation",
    year=2024,
    reference="https://arxiv.org/abs/2306.05196",
    code="https://github.com/Cuthbert-Huang/CPCANet",
    licence="Apache-2.0",
)
class CPCA(nn.Module):
    """Mixes the channels, scales each by one number, and then each value by what strips around it hold.

    After a 1×1 convolution and a GELU, the means and the maxima of the channels go through one perceptron, and the two
    sigmoids are added; the map, scaled by these, is the channel prior. A depthwise 5×5 convolution of the prior, and
    what pairs of depthwise strips of 7, 11 and 21 make of its result, are summed and mixed by the 1×1 convolution; what
    comes out, without a sigmoid, scales the prior, and the same 1×1 convolution, used for the third time, ends it.
    It has about 1.5·channels² + 112·channels parameters with the default, and costs three 1×1 convolutions and 103
    multiply-adds per value. The output grows with the square of the input: where that reaches some hundreds, float16
    overflows.

    Args:
        channels: Width of the skip.
        reduction: The perceptron's bottleneck is `channels // reduction` wide, which must be at least 1; 4 is the
            authors' value.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S.

    Reference:
        https://arxiv.org/abs/2306.05196; https://github.com/Cuthbert-Huang/CPCANet (Apache-2.0).

    Deviations:
        Follows the authors' code, which adds the first 1×1 convolution and the GELU to the paper's equations, uses one
        convolution where the paper has more, and takes a sigmoid of each pooled branch and not of their sum. Where
        several values are the maximum, they share the gradient. 3-D is ours: a strip along each axis.
    """

    kind: ClassVar[Literal["mix"]] = "mix"

    def __init__(self, channels: int, *, reduction: int = 4, dims: Literal[2, 3] = 2) -> None:
        super().__init__()
        check_form("cpca", dims, channels=channels)
        if not 1 <= reduction <= channels:
            raise AttnzooError(
                f"`cpca` cannot reduce {channels} channels by reduction={reduction}",
                f"with {channels} channels, reduction is 1 to {channels}",
            )

        def depthwise(*kernel: int) -> nn.Module:
            padding = tuple(edge // 2 for edge in kernel)
            return CONV[dims](channels, channels, kernel, padding=padding, groups=channels)  # type: ignore[arg-type]

        self.ca = _Prior(channels, channels // reduction, dims)
        self.dconv5_5 = depthwise(*[5] * dims)
        # along the last axis first, as the authors do
        self.strips = nn.ModuleList(
            nn.Sequential(*(depthwise(*[length if other == axis else 1 for other in range(dims)]) for axis in order))
            for length in STRIPS
            for order in [range(dims - 1, -1, -1)]
        )
        self.conv = CONV[dims](channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        mixed = nn.functional.gelu(self.conv(x))  # (B, C, *S)
        prior = mixed * self.ca(mixed)  # (B, C, *S)
        near = self.dconv5_5(prior)  # (B, C, *S)
        spatial = self.conv(near + sum(strip(near) for strip in self.strips))  # (B, C, *S)
        ended: Tensor = self.conv(spatial * prior)  # (B, C, *S)
        return ended
