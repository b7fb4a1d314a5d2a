"""Multi-scale convolutional attention (MSCA), of SegNeXt: Guo et al., NeurIPS 2022."""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from attnzoo.blocks._parts import CONV, strip_chain
from attnzoo.errors import AttnzooError
from attnzoo.registry import check_form, register


@register(
    "msca",
    paper="Guo et al.: SegNeXt: Rethinking Convolutional Attention Design for Semantic Segmentation",
    year=2022,
    reference="https://arxiv.org/abs/2209.08575",
    code="https://github.com/Visual-Attention-Network/SegNeXt",
    licence="Apache-2.0",
)
class MSCA(nn.Module):
    """Scales each value by one number, which neighbourhoods of several sizes, and then all channels, decide.

    A depthwise convolution sees the neighbours; on what it gives, pairs of depthwise strips, a row and a column each,
    look farther, one pair for each scale; their sum, with what they were given, goes through a 1×1 convolution. No
    sigmoid follows: factors can be negative or large, and the output is quadratic in the skip, which overflows in
    float16 where large. At the defaults it has channels² + 111·channels parameters, and channels² + 103·channels
    multiply-adds a position.

    Args:
        channels: Width of the skip.
        local: Edge of the first convolution, odd; 5 is the paper's value.
        strips: Length of the strips of each scale, odd, at least one; 7, 11 and 21 are the paper's.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S.

    Reference:
        https://arxiv.org/abs/2209.08575; https://github.com/Visual-Attention-Network/SegNeXt (Apache-2.0).

    Deviations:
        It is the attention alone: in the network, 1×1 convolutions, a GELU and a residual stand around it. 3-D is ours:
        a third strip, along the depth, comes last.
    """

    kind: ClassVar[Literal["scale"]] = "scale"

    def __init__(
        self, channels: int, *, local: int = 5, strips: tuple[int, ...] = (7, 11, 21), dims: Literal[2, 3] = 2
    ) -> None:
        super().__init__()
        check_form("msca", dims, channels=channels)
        for edge in (local, *strips):
            if edge < 1 or edge % 2 == 0:
                raise AttnzooError(f"`msca` cannot centre a convolution of {edge}", "`local` and all `strips` are odd")
        if not strips:
            raise AttnzooError("`msca` cannot do without strips", "give one length for each scale, such as `(7, 11)`")
        self.conv0 = CONV[dims](channels, channels, local, padding=local // 2, groups=channels)
        self.scales = nn.ModuleList(strip_chain(channels, length, dims) for length in strips)
        self.conv3 = CONV[dims](channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights(x)

    def weights(self, x: Tensor) -> Tensor:
        near = self.conv0(x)  # (B, C, *S)
        seen = torch.stack([near, *(scale(near) for scale in self.scales)]).sum(0)  # (B, C, *S)
        factor: Tensor = self.conv3(seen)  # (B, C, *S)
        return factor
