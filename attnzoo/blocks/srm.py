"""Style-based recalibration module (SRM): Lee et al., ICCV 2019."""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from attnzoo.blocks._parts import BATCH_NORM, positions
from attnzoo.registry import check_form, register

EPSILON = 1e-5  # the authors'


@register(
    "srm",
    paper="Lee et al.: SRM: A Style-based Recalibration Module for Convolutional Neural Networks",
    year=2019,
    reference="https://arxiv.org/abs/1903.10829",
    code="https://github.com/hyunjaelee410/style-based-recalibration-module",
)
class SRM(nn.Module):
    """Scales each channel by one number, which its own mean and standard deviation decide.

    Both are weighted with two weights of the channel and added, normalised over the batch, and a sigmoid follows; no
    channel hears another. It has 4·channels parameters, and a few multiply-adds for each value. At the start all
    factors are 0.5.

    Args:
        channels: Width of the skip.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S.

    Reference:
        https://arxiv.org/abs/1903.10829; https://github.com/hyunjaelee410/style-based-recalibration-module (no
        licence).

    Deviations:
        Follows the authors' code as most know it, in which the variance is over n − 1 values and not n, and has 1e-5
        added before the root is taken; in an earlier version, as in the paper, nothing is added. In a map of one
        position the variance is zero, where their code gives NaN, and it is summed in float32 at least. A norm that
        gets one value per channel in training (batch of one) uses its running statistics, where theirs fails. 3-D needs
        nothing but the third axis.
    """

    kind: ClassVar[Literal["scale"]] = "scale"

    def __init__(self, channels: int, *, dims: Literal[2, 3] = 2) -> None:
        super().__init__()
        check_form("srm", dims, channels=channels)
        self.cfc = nn.Parameter(torch.zeros(channels, 2))
        self.bn = BATCH_NORM[dims](channels)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights(x)

    def weights(self, x: Tensor) -> Tensor:
        axes, count = list(range(2, x.ndim)), positions(x)
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        variance, mean = torch.var_mean(wide, axes, correction=min(1, count - 1), keepdim=True)  # (B, C, 1, 1), both
        style = torch.stack([mean, (variance + EPSILON).sqrt()], -1).to(x.dtype)  # (B, C, 1, 1, 2)
        cfc = self.cfc.reshape(-1, *[1] * len(axes), 2)  # (C, 1, 1, 2)
        factor: Tensor = self.bn((style * cfc).sum(-1)).sigmoid()  # (B, C, 1, 1)
        return factor
