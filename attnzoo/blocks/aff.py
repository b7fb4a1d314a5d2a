"""Attentional feature fusion (AFF): Dai et al., WACV 2021."""

from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from attnzoo.blocks._parts import CONV, multi_scale, perceptron
from attnzoo.errors import AttnzooError
from attnzoo.registry import check_form, register


@register(
    "aff",
    paper="Dai et al.: Attentional Feature Fusion",
    year=2021,
    reference="https://arxiv.org/abs/2009.14082",
    code="https://github.com/YimianDai/open-aff",
)
class AFF(nn.Module):
    """Chooses, number by number, between the skip and the decoder's feature, and gives the mixture in the skip's place.

    The sum of both goes through `ms_cam`'s two perceptrons, one on every position alone and one on the means over the
    map; the sigmoid of their sum is the skip's share, and what is left of it to one is the decoder's. With a gate as
    wide as the skip it has about 4·channels²/reduction parameters, and costs half as many multiply-adds per position.

    Args:
        channels: Width of the skip.
        gate_channels: Width of the decoder's feature; one of another width than the skip is projected to it.
        reduction: The bottlenecks are `channels // reduction` wide, which must be at least 1; 4 is the authors' value.
        variant: `authors` doubles the mixture, as both of their codes do, so that with shares of a half it is the plain
            sum; `paper` does not.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S), (B, G, *T) → (B, C, *S), for any spatial sizes S and T.

    Reference:
        https://arxiv.org/abs/2009.14082; https://github.com/YimianDai/open-aff (no licence).

    Deviations:
        The default follows the authors' code. The decoder's feature has another width than the skip in most networks: a
        1×1 convolution brings it there, with channels·(gate_channels + 1) more parameters; where the widths are equal
        there is none. One of another size is resized, linearly, corners not aligned. Where a channel has one value in a
        batch, its norm takes the running statistics: a batch of one in training, where their code fails. 3-D is ours.
    """

    kind: ClassVar[Literal["mix"]] = "mix"
    listens: ClassVar[Literal["upsampled"]] = "upsampled"

    def __init__(
        self,
        channels: int,
        gate_channels: int,
        *,
        reduction: int = 4,
        variant: Literal["authors", "paper"] = "authors",
        dims: Literal[2, 3] = 2,
    ) -> None:
        super().__init__()
        check_form("aff", dims, channels=channels, gate_channels=gate_channels)
        if not 1 <= reduction <= channels:
            raise AttnzooError(
                f"`aff` cannot reduce {channels} channels by reduction={reduction}",
                f"with {channels} channels, reduction is 1 to {channels}",
            )
        self.mode = "bilinear" if dims == 2 else "trilinear"
        self.factor = 2 if variant == "authors" else 1
        self.project = nn.Identity() if gate_channels == channels else CONV[dims](gate_channels, channels, 1)
        self.local_att = perceptron(channels, channels // reduction, dims)
        self.global_att = perceptron(channels, channels // reduction, dims)

    def forward(self, x: Tensor, gate: Tensor) -> Tensor:
        y: Tensor = self.project(gate)  # (B, C, *T)
        if y.shape[2:] != x.shape[2:]:
            y = F.interpolate(y, x.shape[2:], mode=self.mode)  # (B, C, *S)
        share = multi_scale(x + y, self.local_att, self.global_att)  # (B, C, *S)
        return self.factor * (x * share + y * (1 - share))
