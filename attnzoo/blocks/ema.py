"""Efficient multi-scale attention (EMA): Ouyang et al., ICASSP 2023."""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from attnzoo.blocks._parts import CONV, means_along
from attnzoo.errors import AttnzooError, divisors
from attnzoo.kernels import fused
from attnzoo.registry import check_form, register

DEFAULT_GROUPS = 32


@register(
    "ema",
    paper="Ouyang et al.: Efficient Multi-Scale Attention Module with Cross-Spatial Learning",
    year=2023,
    reference="https://arxiv.org/abs/2305.13563",
    code="https://github.com/YOLOonMe/EMA-attention-module",
)
class EMA(nn.Module):
    """Scales each position, in each group of channels, by what its row, its column and its neighbourhood hold.

    The channels are cut into groups, which share all weights. In a group, two branches look at the map: in one, the
    means of its rows and of its columns, through a 1×1 convolution and a sigmoid, scale it, and it is normalised; the
    other is a 3×3 convolution. Each branch is summed over its channels, weighted by the softmax of the other's means,
    and the sigmoid of both sums scales the group. With c = channels / groups it has 10c² + 4c parameters (28c² + 4c
    in 3-D): more groups make it smaller, and at c = 1 both softmaxes are over one channel, hence constant. It is
    neither expectation-maximisation attention nor an exponential moving average.

    Args:
        channels: Width of the skip; a multiple of `groups`.
        groups: Number of groups, 1 to `channels`; 32 is the authors' default, many ports use 8. `auto` takes the
            largest divisor of `channels` up to 32. The attribute `groups` holds what was taken.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S.

    Reference:
        https://arxiv.org/abs/2305.13563; https://github.com/YOLOonMe/EMA-attention-module (no licence).

    Deviations:
        The 1×1 convolution is applied to each strip of means and not to their concatenation, which is equal. 3-D is
        ours: the strip along an axis holds the means over both other axes, and the convolution is 3×3×3.
    """

    kind: ClassVar[Literal["scale"]] = "scale"

    def __init__(
        self, channels: int, *, groups: int | Literal["auto"] = DEFAULT_GROUPS, dims: Literal[2, 3] = 2
    ) -> None:
        super().__init__()
        check_form("ema", dims, channels=channels)
        possible = divisors(channels)
        if groups == "auto":
            groups = max(number for number in possible if number <= DEFAULT_GROUPS)
        if groups not in possible:
            *some, last = map(str, possible)
            numbers = f"{', '.join(some)} or {last}" if some else last
            raise AttnzooError(
                f"`ema` cannot split {channels} channels into groups={groups!r}",
                f"{channels} divides into {numbers} groups, and `groups=auto` takes the largest up to {DEFAULT_GROUPS}",
            )
        self.groups = groups
        width = channels // groups
        self.gn = nn.GroupNorm(width, width)
        self.conv1x1 = CONV[dims](width, width, 1)
        self.conv3x3 = CONV[dims](width, width, 3, padding=1)

    @fused("ema")
    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights(x)

    def weights(self, x: Tensor) -> Tensor:
        grouped = torch.unflatten(x, 1, (self.groups, -1)).flatten(0, 1)  # (B·G, c, *S)
        gated = grouped
        for axis in range(2, x.ndim):
            strip = means_along(grouped, axis)  # (B·G, c, 1, S_axis)
            gated = gated * self.conv1x1(strip).sigmoid()
        # the module would refuse a map of one position, where the norm is its bias
        strips = torch.group_norm(gated, self.gn.num_groups, self.gn.weight, self.gn.bias, self.gn.eps)  # (B·G, c, *S)
        neighbours = self.conv3x3(grouped)  # (B·G, c, *S)
        factor = _cross(strips, neighbours) + _cross(neighbours, strips)  # (B·G, *S)
        return factor.sigmoid().unsqueeze(1).expand_as(grouped).reshape(x.shape)  # (B, C, *S)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"


def _cross(judge: Tensor, judged: Tensor) -> Tensor:
    """The sum of one branch's channels, weighted by the softmax of the other's means."""
    return torch.einsum("bc,bc...->b...", judge.flatten(2).mean(2).softmax(1), judged)
