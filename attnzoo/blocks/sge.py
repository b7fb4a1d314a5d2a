"""Spatial group-wise enhance (SGE): Li et al., 2019."""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from attnzoo.blocks._parts import grouping, positions
from attnzoo.errors import divisors
from attnzoo.registry import check_form, register

DEFAULT_GROUPS = 8


@register(
    "sge",
    paper="Li et al.: Spatial Group-wise Enhance: Improving Semantic Feature Learning in Convolutional Networks",
    year=2019,
    reference="https://arxiv.org/abs/1905.09646",
    code="https://github.com/implus/PytorchInsight",
)
class SGE(nn.Module):
    """Scales each position, in each group of channels, by how much it resembles the group's mean.

    The channels are cut into groups. In a group, the resemblance of a position is the inner product of its channels
    with their means over the map; it is normalised over the map, scaled and shifted by two weights of the group, and
    its sigmoid is the factor. It has 2 · groups parameters, and channels multiply-adds per position. At the start all
    factors are sigmoid(1), that is 0.73.

    Args:
        channels: Width of the skip; a multiple of `groups`.
        groups: Number of groups, 1 to `channels`; 8, as many ports have it: at skips of 64 to 512 channels a group has
            8 to 64, where the authors' 64 gives 4 to 32 at the 256 to 2048 channels of a ResNet-50, and one at 64,
            which resembles nothing but itself. `auto` takes the largest divisor of `channels` up to 8. The attribute
            `groups` holds what was taken.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S.

    Reference:
        https://arxiv.org/abs/1905.09646; https://github.com/implus/PytorchInsight (no licence).

    Deviations:
        The default number of groups, see there. In a map of one position the deviation is zero, where the authors' code
        gives NaN. Products are summed in float32 at least: half precision would overflow. 3-D needs nothing but the
        third axis. As in the authors' code, and not in the paper, the variance is over n − 1 values and not n.
    """

    kind: ClassVar[Literal["scale"]] = "scale"

    def __init__(
        self, channels: int, *, groups: int | Literal["auto"] = DEFAULT_GROUPS, dims: Literal[2, 3] = 2
    ) -> None:
        super().__init__()
        check_form("sge", dims, channels=channels)
        self.groups = grouping("sge", channels, groups, DEFAULT_GROUPS, divisors(channels))
        self.weight = nn.Parameter(torch.zeros(1, self.groups, *[1] * dims))
        self.bias = nn.Parameter(torch.ones(1, self.groups, *[1] * dims))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights(x)

    def weights(self, x: Tensor) -> Tensor:
        axes, count = list(range(2, x.ndim)), positions(x)
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        products = torch.unflatten(wide * wide.mean(axes, keepdim=True), 1, (self.groups, -1))  # (B, G, c, *S)
        resemblance = products.sum(2)  # (B, G, *S)
        deviation, mean = torch.std_mean(resemblance, axes, correction=min(1, count - 1), keepdim=True)  # (B, G, 1, 1)
        factor = ((resemblance - mean) / (deviation + 1e-5) * self.weight + self.bias).sigmoid()  # (B, G, *S)
        return factor.to(x.dtype).unsqueeze(2).expand_as(products).reshape(x.shape)  # (B, C, *S)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"
