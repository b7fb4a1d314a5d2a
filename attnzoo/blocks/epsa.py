"""Pyramid squeeze attention, of EPSANet: Zhang et al., ACCV 2022."""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from attnzoo.blocks._parts import CONV
from attnzoo.errors import AttnzooError, divisors, listing
from attnzoo.registry import check_form, register


@register(
    "epsa",
    paper="Zhang et al.: EPSANet: An Efficient Pyramid Squeeze Attention Block on Convolutional Neural Network",
    year=2021,
    reference="https://arxiv.org/abs/2105.14447",
    code="https://github.com/murufeng/EPSANet",
)
class EPSA(nn.Module):
    """Replaces the skip by convolutions of several sizes, which compete for each channel by what their means hold.

    Each of S kernels, larger ones in more groups, makes channels/S maps from all channels. One squeeze-and-excitation,
    shared by the branches, gives each of these maps a number from 0 to 1; a softmax over the branches turns those into
    shares, and each map is scaled by its share. At the start the shares are about 1/S. A branch has
    channels²/S·kernel²/groups weights (kernel³ in 3-D), and as many multiply-adds a position.

    Args:
        channels: Width of the skip; a multiple of the number of `kernels`.
        kernels: Edges of the convolutions, odd, one or more; 3, 5, 7 and 9 are the paper's.
        groups: One number for each kernel, a divisor of `channels` and of a branch's channels; 1, 4, 8 and 16 are the
            paper's, so that the default takes multiples of 64. `auto` takes the largest divisor of a branch's channels
            up to the paper's 2^((kernel - 1)/2), and 1 for a kernel up to 3. The attribute `groups` holds what was
            taken.
        reduction: The bottleneck is as wide as a branch divided by it, rounded down, which must be at least 1; 16 is
            the authors' value.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S.

    Reference:
        https://arxiv.org/abs/2105.14447; https://github.com/murufeng/EPSANet (no licence).

    Deviations:
        Follows the authors' code, which concatenates the branches in reverse, the largest kernel first, where the paper
        has the smallest first. The dense layers act on vectors, and not as 1×1 convolutions, which is equal. 3-D is
        ours.
    """

    kind: ClassVar[Literal["mix"]] = "mix"

    def __init__(
        self,
        channels: int,
        *,
        kernels: tuple[int, ...] = (3, 5, 7, 9),
        groups: tuple[int, ...] | Literal["auto"] = (1, 4, 8, 16),
        reduction: int = 16,
        dims: Literal[2, 3] = 2,
    ) -> None:
        super().__init__()
        check_form("epsa", dims, channels=channels)
        if not kernels or min(kernels) < 1 or any(kernel % 2 == 0 for kernel in kernels):
            raise AttnzooError(f"`epsa` cannot centre kernels={kernels}", "give one or more odd ones, such as `(3, 5)`")
        if channels % len(kernels):
            raise AttnzooError(
                f"`epsa` cannot share {channels} channels among {len(kernels)} kernels",
                f"{channels} divides into {listing(divisors(channels))}",
            )
        width = channels // len(kernels)
        if groups == "auto":
            groups = tuple(_largest(width, 1 if kernel <= 3 else 2 ** (kernel // 2)) for kernel in kernels)
        if len(groups) != len(kernels) or any(number < 1 or width % number for number in groups):
            raise AttnzooError(
                f"`epsa` cannot split branches of {width} channels into groups={groups}",
                f"give {len(kernels)} of {listing(divisors(width))}, or `groups=auto`",
            )
        if not 1 <= reduction <= width:
            raise AttnzooError(
                f"`epsa` cannot reduce branches of {width} channels by reduction={reduction}",
                f"with {channels} channels and {len(kernels)} kernels, reduction is 1 to {width}",
            )
        self.groups = groups
        self.convs = nn.ModuleList(
            CONV[dims](channels, width, kernel, padding=kernel // 2, groups=number, bias=False)
            for kernel, number in zip(kernels, groups, strict=True)
        )
        self.fc1 = nn.Linear(width, width // reduction)
        self.fc2 = nn.Linear(width // reduction, width)

    def forward(self, x: Tensor) -> Tensor:
        maps = torch.stack([conv(x) for conv in self.convs[::-1]], 1)  # (B, S, C/S, *S)
        excited = self.fc2(self.fc1(maps.flatten(3).mean(3)).relu()).sigmoid()  # (B, S, C/S)
        shares = excited.softmax(1).to(x.dtype)  # (B, S, C/S)
        shares = shares.reshape(*shares.shape, *[1] * (x.ndim - 2))  # (B, S, C/S, 1, 1)
        shared: Tensor = shares * maps  # (B, S, C/S, *S)
        return shared.flatten(1, 2)  # (B, C, *S)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"


def _largest(number: int, limit: int) -> int:
    """The largest divisor of a number up to a limit."""
    return max(divisor for divisor in divisors(number) if divisor <= limit)
