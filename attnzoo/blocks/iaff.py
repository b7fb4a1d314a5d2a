"""Iterative attentional feature fusion (iAFF): Dai et al., WACV 2021."""

from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from attnzoo.blocks._parts import CONV, multi_scale, perceptron
from attnzoo.errors import AttnzooError
from attnzoo.registry import check_form, register


@register(
    "iaff",
    paper="Dai et al.: Attentional Feature Fusion",
    year=2021,
    reference="https://arxiv.org/abs/2009.14082",
    code="https://github.com/YimianDai/open-aff",
)
class IAFF(nn.Module):
    """Chooses, number by number, between the skip and the decoder's feature, after a first choice of the same form.

    As in `aff` the sum of both, through two perceptrons and a sigmoid, gives the skip's share; here the mixture with
    those shares goes through two more perceptrons, which give the final ones. With a gate as wide as the skip it has
    about 8·channels²/reduction parameters, and costs half as many multiply-adds per position.

    Args:
        channels: Width of the skip.
        gate_channels: Width of the decoder's feature; one of another width than the skip is projected to it.
        reduction: The bottlenecks are `channels // reduction` wide, which must be at least 1; 4 is the authors' value.
        variant: `paper` has a global perceptron for each choice, as the paper's equations and the authors' first code
            (MXNet); `authors` is their later code (PyTorch), where the first one serves both and the second, although
            there, never learns, and is frozen here: for weights trained with it.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S), (B, G, *T) → (B, C, *S), for any spatial sizes S and T.

    Reference:
        https://arxiv.org/abs/2009.14082; https://github.com/YimianDai/open-aff (no licence).

    Deviations:
        The default follows the paper: what the PyTorch code does differently is a slip, see `variant`. A decoder's
        feature of another width than the skip is brought there by a 1×1 convolution, with channels·(gate_channels + 1)
        more parameters; one of another size is resized, linearly, corners not aligned. Where a channel has one value in
        a batch, its norm takes the running statistics: a batch of one in training, where their code fails. 3-D is ours.
    """

    kind: ClassVar[Literal["mix"]] = "mix"
    listens: ClassVar[Literal["upsampled"]] = "upsampled"

    def __init__(
        self,
        channels: int,
        gate_channels: int,
        *,
        reduction: int = 4,
        variant: Literal["authors", "paper"] = "paper",
        dims: Literal[2, 3] = 2,
    ) -> None:
        super().__init__()
        check_form("iaff", dims, channels=channels, gate_channels=gate_channels)
        if not 1 <= reduction <= channels:
            raise AttnzooError(
                f"`iaff` cannot reduce {channels} channels by reduction={reduction}",
                f"with {channels} channels, reduction is 1 to {channels}",
            )
        self.mode = "bilinear" if dims == 2 else "trilinear"
        self.second = "global_att2" if variant == "paper" else "global_att"
        self.project = nn.Identity() if gate_channels == channels else CONV[dims](gate_channels, channels, 1)
        self.local_att = perceptron(channels, channels // reduction, dims)
        self.global_att = perceptron(channels, channels // reduction, dims)
        self.local_att2 = perceptron(channels, channels // reduction, dims)
        self.global_att2 = perceptron(channels, channels // reduction, dims).requires_grad_(variant == "paper")

    def forward(self, x: Tensor, gate: Tensor) -> Tensor:
        y: Tensor = self.project(gate)  # (B, C, *T)
        if y.shape[2:] != x.shape[2:]:
            y = F.interpolate(y, x.shape[2:], mode=self.mode)  # (B, C, *S)
        first = multi_scale(x + y, self.local_att, self.global_att)  # (B, C, *S)
        mixed = x * first + y * (1 - first)
        share = multi_scale(mixed, self.local_att2, self.get_submodule(self.second))  # (B, C, *S)
        return x * share + y * (1 - share)
