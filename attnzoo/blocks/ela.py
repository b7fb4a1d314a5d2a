"""Efficient local attention (ELA): Xu and Wan, 2024."""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from attnzoo.blocks._parts import means_along
from attnzoo.errors import AttnzooError
from attnzoo.registry import check_form, register

# By variant: the kernel, the channels in each of its groups, and the groups of the norm.
VARIANTS = {"tiny": (5, 1, 32), "base": (7, 1, 16), "small": (5, 8, 16), "large": (7, 8, 16)}


@register(
    "ela",
    paper="Xu and Wan: ELA: Efficient Local Attention for Deep Convolutional Neural Networks",
    year=2024,
    reference="https://arxiv.org/abs/2403.01123",
)
class ELA(nn.Module):
    """Scales each position, in each channel, by one number for its row and one for its column.

    Coordinate attention without its bottleneck: the means of the rows and those of the columns go, each for
    themselves, through the same 1-D convolution, a group norm and a sigmoid. With `base` it has 9·channels
    parameters, and its convolution runs over strips only; most of its cost are the means.

    Args:
        channels: Width of the skip; a multiple of 32 for `tiny`, and of 16 for the others.
        variant: The paper's four: `tiny` and `base` with depthwise kernels of 5 and 7, `small` and `large` with the
            same kernels in groups of 8 channels. The norm has 32 groups in `tiny`, and 16 in the others.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S.

    Reference:
        https://arxiv.org/abs/2403.01123; no authors' code is known.

    Deviations:
        The paper names a convolution for each direction, F_h and F_w, and leaves open whether they share weights; as
        in the implementations in use, they do, and so do the norms. The convolution has no bias, which the norm would
        take away in part. In 3-D, which is ours, the strip along an axis holds the means over both other axes.
    """

    kind: ClassVar[Literal["scale"]] = "scale"

    def __init__(
        self,
        channels: int,
        *,
        variant: Literal["tiny", "base", "small", "large"] = "base",
        dims: Literal[2, 3] = 2,
    ) -> None:
        super().__init__()
        check_form("ela", dims, channels=channels)
        kernel, width, groups = VARIANTS[variant]
        if channels % groups:
            raise AttnzooError(
                f"`ela` cannot normalise {channels} channels in the {groups} groups of variant={variant}",
                f"with variant={variant}, channels are a multiple of {groups}",
            )
        self.conv = nn.Conv1d(channels, channels, kernel, padding=kernel // 2, groups=channels // width, bias=False)
        self.gn = nn.GroupNorm(groups, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights(x)

    def weights(self, x: Tensor) -> Tensor:
        factor = x.new_ones(())
        for axis in range(2, x.ndim):
            strip = means_along(x, axis)  # (B, C, 1, S_axis)
            convolved = self.conv(strip.flatten(2))  # (B, C, S_axis)
            # the module would refuse groups of one value, where the norm is its bias
            normed = torch.group_norm(convolved, self.gn.num_groups, self.gn.weight, self.gn.bias, self.gn.eps)
            factor = factor * normed.sigmoid().reshape(strip.shape)
        return factor  # (B, C, *S)
