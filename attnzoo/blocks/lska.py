"""Large separable kernel attention (LSKA): Lau et al., Expert Systems with Applications 2024."""

from typing import ClassVar, Literal

from torch import Tensor, nn

from attnzoo.blocks._parts import CONV, strip_chain
from attnzoo.errors import AttnzooError, listing
from attnzoo.registry import check_form, register

DILATIONS = {7: 2, 11: 2, 23: 3, 35: 3, 41: 3, 53: 3}  # by the kernel that is taken apart


@register(
    "lska",
    paper="Lau et al.: Large Separable Kernel Attention: Rethinking the Large Kernel Attention Design in CNN",
    year=2024,
    reference="https://arxiv.org/abs/2309.01439",
    code="https://github.com/StevenLauHKHK/Large-Separable-Kernel-Attention",
)
class LSKA(nn.Module):
    """Scales each value by one number, which a wide neighbourhood, a strip at a time, and then all channels, decide.

    It is `lka` with each depthwise convolution taken apart once more, into a row and a column: strips of 2·dilation - 1
    for the neighbours, dilated strips of kernel/dilation for the distance, and a 1×1 convolution across the channels.
    Its cost grows with the kernel's edge and not with its square. No sigmoid follows: factors can be negative or large,
    and the output is quadratic in the skip, which overflows in float16 where large. At the default it has channels² +
    29·channels parameters, and channels² + 24·channels multiply-adds a position.

    Args:
        channels: Width of the skip.
        kernel: Edge of the large convolution that is taken apart, one of the authors': 7 and 11 are dilated by 2; 23,
            that of their released models, 35, 41 and 53 by 3.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S.

    Reference:
        https://arxiv.org/abs/2309.01439; https://github.com/StevenLauHKHK/Large-Separable-Kernel-Attention (no
        licence).

    Deviations:
        It is the attention alone: in the network, 1×1 convolutions, a GELU and a residual stand around it. 3-D is
        ours: a third strip, along the depth, comes last.
    """

    kind: ClassVar[Literal["scale"]] = "scale"

    def __init__(self, channels: int, *, kernel: int = 23, dims: Literal[2, 3] = 2) -> None:
        super().__init__()
        check_form("lska", dims, channels=channels)
        if kernel not in DILATIONS:
            raise AttnzooError(f"`lska` cannot take kernel={kernel} apart", f"possible is {listing(DILATIONS)}")
        dilation = DILATIONS[kernel]
        self.conv0 = strip_chain(channels, 2 * dilation - 1, dims)
        self.conv_spatial = strip_chain(channels, kernel // dilation, dims, dilation)
        self.conv1 = CONV[dims](channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights(x)

    def weights(self, x: Tensor) -> Tensor:
        factor: Tensor = self.conv1(self.conv_spatial(self.conv0(x)))  # (B, C, *S)
        return factor
