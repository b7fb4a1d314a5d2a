"""Large kernel attention (LKA), of the visual attention network: Guo et al., CVMJ 2023."""

from typing import ClassVar, Literal

from torch import Tensor, nn

from attnzoo.blocks._parts import CONV
from attnzoo.errors import AttnzooError
from attnzoo.registry import check_form, register


@register(
    "lka",
    paper="Guo et al.: Visual Attention Network",
    year=2022,
    reference="https://arxiv.org/abs/2202.09741",
    code="https://github.com/Visual-Attention-Network/VAN-Classification",
    licence="Apache-2.0",
)
class LKA(nn.Module):
    """Scales each value by one number, which a wide neighbourhood of its channel, and then all channels, decide.

    A large convolution is taken apart into three: a depthwise one of 2·dilation - 1 for the neighbours, a depthwise one
    of kernel/dilation, dilated, for the distance, and a 1×1 one across the channels. No sigmoid follows: factors can be
    negative or large, and the output is quadratic in the skip, which overflows in float16 where large. At the defaults
    it has channels² + 77·channels parameters, and channels² + 74·channels multiply-adds a position.

    Args:
        channels: Width of the skip.
        kernel: Edge of the large convolution that is taken apart; 21, the paper's value, gives 5×5 and 7×7. The edge of
            the dilated one, `kernel // dilation`, is odd.
        dilation: Of the second convolution, 1 or more; 3 is the paper's value.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S.

    Reference:
        https://arxiv.org/abs/2202.09741; https://github.com/Visual-Attention-Network/VAN-Classification (Apache-2.0).

    Deviations:
        It is the attention alone: in the network, 1×1 convolutions, a GELU and a residual stand around it. The paper
        rounds kernel/dilation up, and its 7 over 2 would be the even 4: here it is rounded down, to 3. 3-D is ours.
    """

    kind: ClassVar[Literal["scale"]] = "scale"

    def __init__(self, channels: int, *, kernel: int = 21, dilation: int = 3, dims: Literal[2, 3] = 2) -> None:
        super().__init__()
        check_form("lka", dims, channels=channels)
        if dilation < 1 or kernel < 1 or kernel // dilation % 2 == 0:
            raise AttnzooError(
                f"`lka` cannot take kernel={kernel} apart with dilation={dilation}",
                "`kernel // dilation` is odd, such as 7 for 21 and 3, or 3 for 7 and 2",
            )
        near, far = 2 * dilation - 1, kernel // dilation
        self.conv0 = CONV[dims](channels, channels, near, padding=near // 2, groups=channels)
        self.conv_spatial = CONV[dims](
            channels, channels, far, padding=far // 2 * dilation, dilation=dilation, groups=channels
        )
        self.conv1 = CONV[dims](channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights(x)

    def weights(self, x: Tensor) -> Tensor:
        factor: Tensor = self.conv1(self.conv_spatial(self.conv0(x)))  # (B, C, *S)
        return factor
