"""The grid attention gate as its authors wrote it: Oktay et al., MIDL 2018; Schlemper et al., MedIA 2019."""

from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from attnzoo.blocks._parts import BATCH_NORM, CONV
from attnzoo.errors import AttnzooError
from attnzoo.registry import check_form, register


@register(
    "grid_gate",
    paper="Oktay et al.: Attention U-Net: Learning Where to Look for the Pancreas",
    year=2018,
    reference="https://arxiv.org/abs/1804.03999",
    code="https://github.com/ozan-oktay/Attention-Gated-Networks",
    licence="MIT",
)
class GridGate(nn.Module):
    """Scales each position of the skip by a map drawn at half its resolution with the decoder, then mixes its channels.

    A strided 2×2 convolution brings the skip to the coarse grid, where the projected decoder feature, which is one
    level coarser and not up-sampled, is added; a ReLU, a projection to one channel and a sigmoid give the map, and it
    is up-sampled to the skip. A 1×1 convolution and a batch norm follow, with channels² weights at full resolution:
    most of its cost.

    Args:
        channels: Width of the skip.
        gate_channels: Width of the decoder's coarser feature.
        inner: Width at which they are added, from 1 up; None, as in their code, is half of `channels` (1 at least).
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S), (B, G, *T) → (B, C, *S), for any spatial sizes S and T.

    Reference:
        https://arxiv.org/abs/1804.03999; https://github.com/ozan-oktay/Attention-Gated-Networks (MIT).

    Deviations:
        Follows the authors' code, which adds the last convolution and norm to the paper's equations. An odd edge of the
        skip is padded by one row of zeros and the map cropped, where their code drops the last row (and fails at 1×1);
        even sizes are the same. Weights start as PyTorch's layers do, and not from He's normal distribution.
    """

    kind: ClassVar[Literal["mix"]] = "mix"
    listens: ClassVar[Literal["coarse"]] = "coarse"

    def __init__(self, channels: int, gate_channels: int, *, inner: int | None = None, dims: Literal[2, 3] = 2) -> None:
        super().__init__()
        check_form("grid_gate", dims, channels=channels, gate_channels=gate_channels)
        if inner is None:
            inner = max(1, channels // 2)
        if inner < 1:
            raise AttnzooError(f"`grid_gate` cannot add at inner={inner} channels", "`inner` is 1 or more")
        self.mode = "bilinear" if dims == 2 else "trilinear"
        self.W = nn.Sequential(CONV[dims](channels, channels, 1), BATCH_NORM[dims](channels))
        self.theta = CONV[dims](channels, inner, 2, stride=2, bias=False)
        self.phi = CONV[dims](gate_channels, inner, 1)
        self.psi = CONV[dims](inner, 1, 1)

    def forward(self, x: Tensor, gate: Tensor) -> Tensor:
        mixed: Tensor = self.W(x * self.weights(x, gate))  # (B, C, *S)
        return mixed

    def weights(self, x: Tensor, gate: Tensor) -> Tensor:
        padding = [side for edge in reversed(x.shape[2:]) for side in (0, edge % 2)]
        theta: Tensor = self.theta(F.pad(x, padding))  # (B, inner, *⌈S/2⌉)
        phi = F.interpolate(self.phi(gate), theta.shape[2:], mode=self.mode)  # (B, inner, *⌈S/2⌉)
        alpha = self.psi((theta + phi).relu()).sigmoid()  # (B, 1, *⌈S/2⌉)
        alpha = F.interpolate(alpha, scale_factor=2, mode=self.mode)  # (B, 1, *2⌈S/2⌉)
        return F.pad(alpha, [-side for side in padding])  # (B, 1, *S)
