"""Multi-scale channel attention module (MS-CAM): Dai et al., WACV 2021."""

from typing import ClassVar, Literal

from torch import Tensor, nn

from attnzoo.blocks._parts import multi_scale, perceptron
from attnzoo.errors import AttnzooError
from attnzoo.registry import check_form, register


@register(
    "ms_cam",
    paper="Dai et al.: Attentional Feature Fusion",
    year=2021,
    reference="https://arxiv.org/abs/2009.14082",
    code="https://github.com/YimianDai/open-aff",
)
class MSCAM(nn.Module):
    """Scales each number of the skip by what its position and the whole map hold.

    Two perceptrons of the same form, each with a bottleneck and two batch norms: the local one looks at every position
    alone, the global one at the means over the map. The sigmoid of their sum is the factor. It has about
    4·channels²/reduction parameters, and costs half as many multiply-adds per position.

    Args:
        channels: Width of the skip.
        reduction: The bottlenecks are `channels // reduction` wide, which must be at least 1; 4 is the authors' value.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S.

    Reference:
        https://arxiv.org/abs/2009.14082; https://github.com/YimianDai/open-aff (no licence).

    Deviations:
        Where a channel has one value in a batch, its norm takes the running statistics: a batch of one in training, in
        which their code fails. 3-D is ours.
    """

    kind: ClassVar[Literal["scale"]] = "scale"

    def __init__(self, channels: int, *, reduction: int = 4, dims: Literal[2, 3] = 2) -> None:
        super().__init__()
        check_form("ms_cam", dims, channels=channels)
        if not 1 <= reduction <= channels:
            raise AttnzooError(
                f"`ms_cam` cannot reduce {channels} channels by reduction={reduction}",
                f"with {channels} channels, reduction is 1 to {channels}",
            )
        self.local_att = perceptron(channels, channels // reduction, dims)
        self.global_att = perceptron(channels, channels // reduction, dims)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights(x)

    def weights(self, x: Tensor) -> Tensor:
        return multi_scale(x, self.local_att, self.global_att)  # (B, C, *S)
