"""Large-kernel grouped attention gate (LGAG), of EMCAD: Rahman et al., CVPR 2024."""

from math import gcd
from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from attnzoo.blocks._parts import BATCH_NORM, CONV
from attnzoo.errors import AttnzooError, divisors, listing
from attnzoo.registry import check_form, register


@register(
    "lgag",
    paper="Rahman et al.: EMCAD: Efficient Multi-scale Convolutional Attention Decoding for Medical Image Segmentation",
    year=2024,
    reference="https://arxiv.org/abs/2405.06880",
    code="https://github.com/SLDGroup/EMCAD",
    licence="UT Austin Research License",
)
class LGAG(nn.Module):
    """Scales each position of the skip by one number, which its neighbourhood and the decoder's decide together.

    It is `gate` with grouped 3×3 convolutions in place of the 1×1 ones: both inputs are projected to `inner` channels,
    normalised and added; a ReLU, and a projection to one channel with a norm and a sigmoid, give the map. With a gate
    as wide as the skip and the default `inner` and `groups` it has 43·channels/2 + 3 parameters, and 37·channels/2
    multiply-adds a position: both grow with the width and not, as the gate's, with its square.

    Args:
        channels: Width of the skip.
        gate_channels: Width of the decoder's feature.
        inner: Width at which they are added, from 1 up; None, as in their code, is half of `channels` (1 at least).
        kernel: Edge of the grouped convolutions, odd; 3 is the paper's value.
        groups: A divisor of `channels`, `gate_channels` and `inner`; `auto` takes the largest, which with a gate as
            wide as an even skip is `inner`, as in their code. The attribute `groups` holds what was taken.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S), (B, G, *T) → (B, C, *S), for any spatial sizes S and T.

    Reference:
        https://arxiv.org/abs/2405.06880; https://github.com/SLDGroup/EMCAD (research use only: UT Austin Research
        License).

    Deviations:
        A gate of another size than the skip is first resized to it, linearly, corners not aligned. With kernel=1
        their code has one group, whatever is said. Weights start as PyTorch's layers do, and not from a normal
        distribution. 3-D is ours.
    """

    kind: ClassVar[Literal["scale"]] = "scale"
    listens: ClassVar[Literal["upsampled"]] = "upsampled"

    def __init__(
        self,
        channels: int,
        gate_channels: int,
        *,
        inner: int | None = None,
        kernel: int = 3,
        groups: int | Literal["auto"] = "auto",
        dims: Literal[2, 3] = 2,
    ) -> None:
        super().__init__()
        check_form("lgag", dims, channels=channels, gate_channels=gate_channels)
        if inner is None:
            inner = max(1, channels // 2)
        if inner < 1:
            raise AttnzooError(f"`lgag` cannot add at inner={inner} channels", "`inner` is 1 or more")
        if kernel < 1 or kernel % 2 == 0:
            raise AttnzooError(f"`lgag` cannot centre kernel={kernel}", "a kernel is odd, such as 3 or 5")
        common = gcd(channels, gate_channels, inner)
        if groups == "auto":
            groups = common
        if groups not in divisors(common):
            raise AttnzooError(
                f"`lgag` cannot split {channels}, {gate_channels} and inner={inner} channels into groups={groups!r}",
                f"they divide into {listing(divisors(common))}, and `groups=auto` takes the largest",
            )
        self.groups = groups
        self.mode = "bilinear" if dims == 2 else "trilinear"
        conv, norm, pad = CONV[dims], BATCH_NORM[dims], kernel // 2
        self.GC_g = nn.Sequential(conv(gate_channels, inner, kernel, padding=pad, groups=groups), norm(inner))
        self.GC_x = nn.Sequential(conv(channels, inner, kernel, padding=pad, groups=groups), norm(inner))
        self.C = nn.Sequential(conv(inner, 1, 1), norm(1))

    def forward(self, x: Tensor, gate: Tensor) -> Tensor:
        return x * self.weights(x, gate)

    def weights(self, x: Tensor, gate: Tensor) -> Tensor:
        if gate.shape[2:] != x.shape[2:]:
            gate = F.interpolate(gate, x.shape[2:], mode=self.mode)  # (B, G, *S)
        q = (self.GC_g(gate) + self.GC_x(x)).relu()  # (B, inner, *S)
        factor: Tensor = self.C(q).sigmoid()  # (B, 1, *S)
        return factor

    def extra_repr(self) -> str:
        return f"groups={self.groups}"
