"""Gated channel transformation (GCT): Yang et al., CVPR 2020."""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from attnzoo.registry import check_form, register

EPSILON = 1e-5  # the authors'
NORMS = {"l2": (2, EPSILON), "l1": (1, 0.0)}  # the power, and what is added to a channel's sum of such powers


@register(
    "gct",
    paper="Yang et al.: Gated Channel Transformation for Visual Recognition",
    year=2020,
    reference="https://arxiv.org/abs/1909.11519",
    code="https://github.com/z-x-yang/GCT",
)
class GCT(nn.Module):
    """Scales each channel by one number between 0 and 2, which its share in the energy of all channels decides.

    The norm of each channel, times a learned α, is its embedding s; it is divided by the magnitude of all channels'
    embeddings, so that channels compete or cooperate, and 1 + tanh(γ·s + β) is the factor. γ and β start at zero, so
    that the block starts as identity. It has 3·channels parameters, and one multiply-add per value for the norms. The
    authors advise no weight decay on β.

    Args:
        channels: Width of the skip.
        mode: The norm: `l2`, the paper's choice, or `l1`, which the authors' code has too.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S.

    Reference:
        https://arxiv.org/abs/1909.11519; https://github.com/z-x-yang/GCT (no licence).

    Deviations:
        The sums over the map, which overflow in half precision, are made in float32 at least. Follows the authors' code
        where it adds its ε of 1e-5 to the mean over the channels and not, as the paper, to their sum. 3-D is ours.
    """

    kind: ClassVar[Literal["scale"]] = "scale"

    def __init__(self, channels: int, *, mode: Literal["l2", "l1"] = "l2", dims: Literal[2, 3] = 2) -> None:
        super().__init__()
        check_form("gct", dims, channels=channels)
        self.power, self.epsilon = NORMS[mode]
        self.alpha = nn.Parameter(torch.ones(1, channels, *[1] * dims))
        self.gamma = nn.Parameter(torch.zeros(1, channels, *[1] * dims))
        self.beta = nn.Parameter(torch.zeros(1, channels, *[1] * dims))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights(x)

    def weights(self, x: Tensor) -> Tensor:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        energy = wide.abs().pow(self.power).sum(list(range(2, x.ndim)), keepdim=True)  # (B, C, 1, 1)
        embedding = (energy + self.epsilon).pow(1 / self.power) * self.alpha  # (B, C, 1, 1)
        magnitude = (embedding.abs().pow(self.power).mean(1, keepdim=True) + EPSILON).pow(
            1 / self.power
        )  # (B, 1, 1, 1)
        factor = 1 + (self.gamma * embedding / magnitude + self.beta).tanh()  # (B, C, 1, 1)
        return factor.to(x.dtype)

    def extra_repr(self) -> str:
        return f"mode=l{self.power}"
