"""The additive attention gate at the skip's resolution, after Oktay et al., MIDL 2018."""

from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from attnzoo.blocks._parts import BATCH_NORM, CONV
from attnzoo.errors import AttnzooError
from attnzoo.kernels import fused
from attnzoo.registry import check_form, register


@register(
    "gate",
    paper="Oktay et al.: Attention U-Net: Learning Where to Look for the Pancreas",
    year=2018,
    reference="https://arxiv.org/abs/1804.03999",
    code="https://github.com/LeeJunHyun/Image_Segmentation",
)
class Gate(nn.Module):
    """Scales each position of the skip by one number, which the skip and the decoder's feature decide together.

    Both are projected to `inner` channels, normalised and added; a ReLU, and a projection to one channel with a norm
    and a sigmoid, give the map. It is the gate that most open implementations mean by "Attention U-Net", MONAI's
    among them; the authors' own is `grid_gate`. With a gate as wide as the skip and the default `inner` it has
    channels² + 7·channels/2 + 3 parameters, and nearly channels² multiply-adds per position.

    Args:
        channels: Width of the skip.
        gate_channels: Width of the decoder's feature.
        inner: Width at which they are added, from 1 up; None, as in that code, is half of `channels` (1 at least).
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S), (B, G, *T) → (B, C, *S), for any spatial sizes S and T.

    Reference:
        https://arxiv.org/abs/1804.03999; https://github.com/LeeJunHyun/Image_Segmentation (no licence); MONAI's
        `AttentionUnet` (Apache-2.0).

    Deviations:
        Follows the code named above and not the paper, in which the map is made on the coarser grid of the gate: see
        `grid_gate`. A gate of another size than the skip is first resized to it, linearly, corners not aligned.
    """

    kind: ClassVar[Literal["scale"]] = "scale"
    listens: ClassVar[Literal["upsampled"]] = "upsampled"

    def __init__(self, channels: int, gate_channels: int, *, inner: int | None = None, dims: Literal[2, 3] = 2) -> None:
        super().__init__()
        check_form("gate", dims, channels=channels, gate_channels=gate_channels)
        if inner is None:
            inner = max(1, channels // 2)
        if inner < 1:
            raise AttnzooError(f"`gate` cannot add at inner={inner} channels", "`inner` is 1 or more")
        self.mode = "bilinear" if dims == 2 else "trilinear"
        self.phi = nn.Sequential(CONV[dims](gate_channels, inner, 1), BATCH_NORM[dims](inner))
        self.theta = nn.Sequential(CONV[dims](channels, inner, 1), BATCH_NORM[dims](inner))
        self.psi = nn.Sequential(CONV[dims](inner, 1, 1), BATCH_NORM[dims](1), nn.Sigmoid())

    @fused("gate")
    def forward(self, x: Tensor, gate: Tensor) -> Tensor:
        return x * self.weights(x, gate)

    def weights(self, x: Tensor, gate: Tensor) -> Tensor:
        added = self.phi(self.resized(gate, x)) + self.theta(x)  # (B, inner, *S)
        alpha: Tensor = self.psi(added.relu())  # (B, 1, *S)
        return alpha

    def resized(self, gate: Tensor, x: Tensor) -> Tensor:
        return gate if gate.shape[2:] == x.shape[2:] else F.interpolate(gate, x.shape[2:], mode=self.mode)  # (B, G, *S)
