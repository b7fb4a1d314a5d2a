"""Channel-wise cross-attention (CCA), of UCTransNet: Wang et al., AAAI 2022."""

from typing import ClassVar, Literal

from torch import Tensor, nn

from attnzoo.registry import check_form, register


@register(
    "cca",
    paper="Wang et al.: UCTransNet: Rethinking the Skip Connections in U-Net from a Channel-wise Perspective with "
    "Transformer",
    year=2022,
    reference="https://arxiv.org/abs/2109.04335",
    code="https://github.com/McGregorWwww/UCTransNet",
)
class CCA(nn.Module):
    """Scales each channel by one number, which the means of the skip and of the decoder decide, and rectifies it.

    The means of the skip's channels, and those of the decoder's, each go through one linear map to the skip's width;
    they are averaged, and a sigmoid gives the factors. A ReLU follows: it changes nothing in a skip that comes from
    one, and cuts the negative half of any other. With a gate of G channels it has channels² + G·channels + 2·channels
    parameters, and about as many multiply-adds, whatever the map's size.

    Args:
        channels: Width of the skip.
        gate_channels: Width of the decoder's feature, any.
        variant: `authors` as in their code; `paper` as in its equations, which add the two maps where the code averages
            them, and have no ReLU after the scaling.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S), (B, G, *T) → (B, C, *S), for any spatial sizes S and T.

    Reference:
        https://arxiv.org/abs/2109.04335; https://github.com/McGregorWwww/UCTransNet (no licence).

    Deviations:
        Follows the authors' code by default. It is the attention alone: the channel transformer before it is not here.
        A gate of another size is not resized, since only its means count. 3-D is ours.
    """

    kind: ClassVar[Literal["mix"]] = "mix"
    listens: ClassVar[Literal["upsampled"]] = "upsampled"

    def __init__(
        self,
        channels: int,
        gate_channels: int,
        *,
        variant: Literal["authors", "paper"] = "authors",
        dims: Literal[2, 3] = 2,
    ) -> None:
        super().__init__()
        check_form("cca", dims, channels=channels, gate_channels=gate_channels)
        self.L1 = nn.Linear(channels, channels)
        self.L2 = nn.Linear(gate_channels, channels)
        self.share = 0.5 if variant == "authors" else 1.0
        # a ReLU that keeps its input, and not its result, for the gradient: what follows may work in place
        self.delta = nn.Threshold(0.0, 0.0) if variant == "authors" else nn.Identity()

    def forward(self, x: Tensor, gate: Tensor) -> Tensor:
        scaled: Tensor = self.delta(x * self.weights(x, gate))  # (B, C, *S)
        return scaled

    def weights(self, x: Tensor, gate: Tensor) -> Tensor:
        both = self.L1(x.flatten(2).mean(2)) + self.L2(gate.flatten(2).mean(2))  # (B, C)
        factor: Tensor = (self.share * both).sigmoid()  # (B, C)
        return factor.reshape(*factor.shape, *[1] * (x.ndim - 2))  # (B, C, 1, 1)
