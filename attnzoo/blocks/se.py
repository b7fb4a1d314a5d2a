"""Squeeze-and-excitation (SE): Hu et al., CVPR 2018."""

from typing import ClassVar, Literal

from torch import Tensor, nn

from attnzoo.blocks._parts import CONV
from attnzoo.errors import AttnzooError
from attnzoo.registry import check_form, register


@register(
    "se",
    paper="Hu et al.: Squeeze-and-Excitation Networks",
    year=2018,
    reference="https://arxiv.org/abs/1709.01507",
    code="https://github.com/hujie-frank/SENet",
    licence="Apache-2.0",
)
class SE(nn.Module):
    """Scales each channel by one number, which the means of all channels decide.

    The map is squeezed to its mean per channel; two dense layers with a bottleneck between them excite the channels. It
    has about 2·channels²/reduction parameters, and no more multiply-adds than that, whatever the map's size.

    Args:
        channels: Width of the skip.
        reduction: The bottleneck is `channels // reduction` wide, which must be at least 1; 16 is the paper's value.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S.

    Reference:
        https://arxiv.org/abs/1709.01507; https://github.com/hujie-frank/SENet (Apache-2.0).

    Deviations:
        None. The dense layers, with biases as in the authors' code, are written as 1×1 convolutions.
    """

    kind: ClassVar[Literal["scale"]] = "scale"

    def __init__(self, channels: int, *, reduction: int = 16, dims: Literal[2, 3] = 2) -> None:
        super().__init__()
        check_form("se", dims, channels=channels)
        if not 1 <= reduction <= channels:
            raise AttnzooError(
                f"`se` cannot reduce {channels} channels by reduction={reduction}",
                f"with {channels} channels, reduction is 1 to {channels}",
            )
        self.squeeze = CONV[dims](channels, channels // reduction, 1)
        self.excite = CONV[dims](channels // reduction, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights(x)

    def weights(self, x: Tensor) -> Tensor:
        means = x.mean(list(range(2, x.ndim)), keepdim=True)  # (B, C, 1, 1)
        factor: Tensor = self.excite(self.squeeze(means).relu()).sigmoid()  # (B, C, 1, 1)
        return factor
