"""Bottleneck attention module (BAM): Park et al., BMVC 2018."""

from operator import add, mul
from typing import ClassVar, Literal

from torch import Tensor, nn

from attnzoo.blocks._parts import BATCH_NORM, CONV
from attnzoo.errors import AttnzooError
from attnzoo.registry import check_form, register


@register(
    "bam",
    paper="Park et al.: BAM: Bottleneck Attention Module",
    year=2018,
    reference="https://arxiv.org/abs/1807.06514",
    code="https://github.com/Jongchan/attention-module",
    licence="MIT",
)
class BAM(nn.Module):
    """Raises each value by up to its double, as its channel and its position decide together.

    Channels: their means go through a perceptron with a bottleneck. Positions: a 1×1 convolution to the bottleneck's
    width c, two dilated 3×3 ones, and a 1×1 one to a single map. Both are joined, and the skip is multiplied by 1 +
    sigmoid. It has about 3·channels·c + 18·c² parameters (54·c² in 3-D) and, in each position, about channels·c + 18·c²
    multiply-adds.

    Args:
        channels: Width of the skip.
        reduction: The bottleneck is `channels // reduction` wide, which must be at least 1; 16 is the paper's value.
        dilation: Of both 3×3 convolutions, from 1 up; 4 is the paper's value.
        variant: `authors`, as their code is: the branches are multiplied, and each hidden layer is normalised. `paper`,
            as its equations are: the branches are added, and each is normalised once, at its end.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S.

    Reference:
        https://arxiv.org/abs/1807.06514; https://github.com/Jongchan/attention-module (MIT).

    Deviations:
        Follows the authors' code unless told otherwise, without the line for which it does not run. The channels' means
        are over the whole map, also where it is not square; the dense layers are written as 1×1 convolutions. A norm
        that gets one value per channel in training (batch of one) uses its running statistics, where theirs fails. The
        paper's equations name no ReLU; `variant=paper` keeps those of the code, without which each branch would be
        linear. 3-D is ours.
    """

    kind: ClassVar[Literal["scale"]] = "scale"

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 16,
        dilation: int = 4,
        variant: Literal["authors", "paper"] = "authors",
        dims: Literal[2, 3] = 2,
    ) -> None:
        super().__init__()
        check_form("bam", dims, channels=channels)
        if not 1 <= reduction <= channels:
            raise AttnzooError(
                f"`bam` cannot reduce {channels} channels by reduction={reduction}",
                f"with {channels} channels, reduction is 1 to {channels}",
            )
        if dilation < 1:
            raise AttnzooError(f"`bam` cannot dilate by dilation={dilation}", "`dilation` is 1 or more")
        conv, norm, inner, authors = CONV[dims], BATCH_NORM[dims], channels // reduction, variant == "authors"

        def branch(width: int, *hidden: nn.Module) -> nn.Sequential:
            layers: list[nn.Module] = []
            for layer in hidden:
                layers += [layer, norm(inner), nn.ReLU()] if authors else [layer, nn.ReLU()]
            return nn.Sequential(*layers, conv(inner, width, 1), *([] if authors else [norm(width)]))

        dilated = [conv(inner, inner, 3, padding=dilation, dilation=dilation) for _ in range(2)]
        self.channel = branch(channels, conv(channels, inner, 1))
        self.spatial = branch(1, conv(channels, inner, 1), *dilated)
        self.join = mul if authors else add

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights(x)

    def weights(self, x: Tensor) -> Tensor:
        channel = self.channel(x.mean(list(range(2, x.ndim)), keepdim=True))  # (B, C, 1, 1)
        spatial = self.spatial(x)  # (B, 1, *S)
        joined: Tensor = self.join(channel, spatial)  # (B, C, *S)
        return 1 + joined.sigmoid()
