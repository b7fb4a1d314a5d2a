"""Global attention mechanism (GAM): Liu et al., 2021."""

from typing import ClassVar, Literal

from torch import Tensor, nn

from attnzoo.blocks._parts import BATCH_NORM, CONV
from attnzoo.errors import AttnzooError
from attnzoo.registry import check_form, register


@register(
    "gam",
    paper="Liu et al.: Global Attention Mechanism: Retain Information to Enhance Channel-Spatial Interactions",
    year=2021,
    reference="https://arxiv.org/abs/2112.05561",
)
class GAM(nn.Module):
    """Scales every value by what its position's other channels hold, and then by what its neighbourhood holds.

    Nothing is pooled. At each position a perceptron with a bottleneck looks at all channels, and its sigmoid scales
    them; then two large convolutions with the same bottleneck look at all channels around the position, and their
    sigmoid scales once more. The convolutions have 2·kernel²·channels²/reduction weights (2·kernel³ in 3-D), and
    as many multiply-adds at each position, which is the price of not pooling: with the defaults, 24.5·channels².

    Args:
        channels: Width of the skip.
        reduction: The bottlenecks are `channels // reduction` wide, which must be at least 1; 4 is the value in use,
            where the paper refers to that of `bam`, which is 16.
        kernel: Edge of the two convolutions, odd; 7 is the paper's value.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S.

    Reference:
        https://arxiv.org/abs/2112.05561; no authors' code is known.

    Deviations:
        The perceptron on the permuted map is a pair of 1×1 convolutions, which is equal. As in the paper's figure its
        output goes through a sigmoid, which some implementations leave out. Both have a ReLU in the bottleneck, and the
        convolutions batch norms, as those implementations have; a channel with a single value in training is normalised
        by the running statistics. The grouped form with a shuffle, whose place the paper does not say, is not offered.
        3-D is ours.
    """

    kind: ClassVar[Literal["scale"]] = "scale"

    def __init__(self, channels: int, *, reduction: int = 4, kernel: int = 7, dims: Literal[2, 3] = 2) -> None:
        super().__init__()
        check_form("gam", dims, channels=channels)
        if not 1 <= reduction <= channels:
            raise AttnzooError(
                f"`gam` cannot reduce {channels} channels by reduction={reduction}",
                f"with {channels} channels, reduction is 1 to {channels}",
            )
        if kernel < 1 or kernel % 2 == 0:
            raise AttnzooError(f"`gam` cannot centre kernel={kernel}", "a kernel is odd, such as 3 or 7")
        inner = channels // reduction
        self.channel_attention = nn.Sequential(
            CONV[dims](channels, inner, 1), nn.ReLU(), CONV[dims](inner, channels, 1), nn.Sigmoid()
        )
        self.spatial_attention = nn.Sequential(
            CONV[dims](channels, inner, kernel, padding=kernel // 2),
            BATCH_NORM[dims](inner),
            nn.ReLU(),
            CONV[dims](inner, channels, kernel, padding=kernel // 2),
            BATCH_NORM[dims](channels),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights(x)

    def weights(self, x: Tensor) -> Tensor:
        channel: Tensor = self.channel_attention(x)  # (B, C, *S)
        spatial: Tensor = self.spatial_attention(x * channel)  # (B, C, *S)
        return channel * spatial  # (B, C, *S)
