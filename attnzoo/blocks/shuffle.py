"""Shuffle attention (SA): Zhang and Yang, ICASSP 2021."""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from attnzoo.blocks._parts import grouping
from attnzoo.errors import AttnzooError, divisors
from attnzoo.registry import check_form, register

DEFAULT_GROUPS = 8


@register(
    "shuffle",
    paper="Zhang and Yang: SA-Net: Shuffle Attention for Deep Convolutional Neural Networks",
    year=2021,
    reference="https://arxiv.org/abs/2102.00240",
    code="https://github.com/wofmanaf/SA-Net",
)
class ShuffleAttention(nn.Module):
    """Scales one half of each group of channels by their means, the other half by position, and shuffles the channels.

    The channels are cut into groups, which share all weights, and each group in halves of width c. In the first, a
    channel's factor is the sigmoid of its mean, scaled and shifted; in the second, a value's factor is the sigmoid of
    the value, normalised over its channel, scaled and shifted. Then the channels of both halves of the skip are dealt
    out in turn, so that the next layer's groups see other neighbours. It has 6·c parameters, with c = channels / (2 ·
    groups), and no multiply-adds but a few for each value. At the start all factors are sigmoid(1), that is 0.73.

    Args:
        channels: Width of the skip; a multiple of 2 · `groups`.
        groups: Number of groups, 1 to `channels` / 2; 8, as many ports have it: at skips of 64 to 512 channels it gives
            halves of 4 to 32, where the authors' 64 gives 2 to 16 at the 256 to 2048 channels of a ResNet-50, and
            cannot split 64. `auto` takes the largest possible number up to 8. The attribute `groups` holds what was
            taken.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S.

    Reference:
        https://arxiv.org/abs/2102.00240; https://github.com/wofmanaf/SA-Net (no licence).

    Deviations:
        The default number of groups, see there. 3-D needs nothing but the third axis.
    """

    kind: ClassVar[Literal["mix"]] = "mix"

    def __init__(
        self, channels: int, *, groups: int | Literal["auto"] = DEFAULT_GROUPS, dims: Literal[2, 3] = 2
    ) -> None:
        super().__init__()
        check_form("shuffle", dims, channels=channels)
        if channels % 2:
            raise AttnzooError(f"`shuffle` cannot halve {channels} channels", "it needs an even number of channels")
        self.groups = grouping("shuffle", channels, groups, DEFAULT_GROUPS, divisors(channels // 2))
        width = channels // (2 * self.groups)
        shape = (1, width, *[1] * dims)
        self.cweight, self.cbias = nn.Parameter(torch.zeros(shape)), nn.Parameter(torch.ones(shape))
        self.sweight, self.sbias = nn.Parameter(torch.zeros(shape)), nn.Parameter(torch.ones(shape))
        self.gn = nn.GroupNorm(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, *size = x.shape
        grouped = x.reshape(batch * self.groups, channels // self.groups, *size)  # (B·G, 2c, *S)
        channel, spatial = grouped.chunk(2, 1)  # (B·G, c, *S), both
        means = channel.mean(list(range(2, x.ndim)), keepdim=True)  # (B·G, c, 1, 1)
        channel = channel * (self.cweight * means + self.cbias).sigmoid()
        # the module would refuse a map of one position, where the norm is its bias
        normed = torch.group_norm(spatial, self.gn.num_groups, self.gn.weight, self.gn.bias, self.gn.eps)
        spatial = spatial * (self.sweight * normed + self.sbias).sigmoid()
        halves = torch.cat([channel, spatial], 1).reshape(batch, 2, channels // 2, *size)  # (B, 2, C/2, *S)
        return halves.transpose(1, 2).reshape(x.shape)  # (B, C, *S)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"
