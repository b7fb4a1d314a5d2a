"""Normalisation-based attention module (NAM): Liu et al., 2021."""

from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from attnzoo.blocks._parts import BATCH_NORM
from attnzoo.registry import check_form, register


@register(
    "nam",
    paper="Liu et al.: NAM: Normalization-based Attention Module",
    year=2021,
    reference="https://arxiv.org/abs/2111.12419",
    code="https://github.com/Christian-lyc/NAM",
)
class NAM(nn.Module):
    """Scales each value by the sigmoid of itself, normalised and weighted with its channel's share in the norm.

    A batch norm's scale tells how much a channel varies, so its share in the sum over all channels serves as the
    channel's weight. It has 2·channels parameters, those of the norm, and two multiply-adds for each value. Since the
    shares add up to 1, all factors are near 0.5 at the start.

    Args:
        channels: Width of the skip.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S.

    Reference:
        https://arxiv.org/abs/2111.12419; https://github.com/Christian-lyc/NAM (no licence).

    Deviations:
        Follows the authors' code, which has the channel branch only, and reads the shares from the norm without a
        gradient; the paper's spatial branch has a weight for each position, so that it fits one map size. Where all
        scales are zero the shares are zero, where their code gives NaN. A norm that gets one value per channel in
        training uses its running statistics, where theirs fails. 3-D needs nothing but the third axis.
    """

    kind: ClassVar[Literal["scale"]] = "scale"

    def __init__(self, channels: int, *, dims: Literal[2, 3] = 2) -> None:
        super().__init__()
        check_form("nam", dims, channels=channels)
        self.bn = BATCH_NORM[dims](channels)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights(x)

    def weights(self, x: Tensor) -> Tensor:
        share = F.normalize(self.bn.weight.detach().abs(), p=1.0, dim=0)  # (C)
        normed: Tensor = self.bn(x)  # (B, C, *S)
        return (normed * share.reshape(-1, *[1] * (x.ndim - 2))).sigmoid()  # (B, C, *S)
