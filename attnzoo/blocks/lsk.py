"""Large selective kernel attention (LSK), of LSKNet: Li et al., ICCV 2023."""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from attnzoo.blocks._parts import CONV
from attnzoo.errors import AttnzooError
from attnzoo.registry import check_form, register


@register(
    "lsk",
    paper="Li et al.: Large Selective Kernel Network for Remote Sensing Object Detection",
    year=2023,
    reference="https://arxiv.org/abs/2303.09030",
    code="https://github.com/zcablii/LSKNet",
    licence="CC-BY-NC-4.0",
)
class LSK(nn.Module):
    """Scales each value by one number, from neighbourhoods of growing size among which each position selects.

    Depthwise convolutions, one behind the other and dilated more and more, see farther and farther; a 1×1 convolution
    brings each one's map to channels/N, with N of them. The mean and the maximum over all those channels go through a
    convolution and a sigmoid, which give each position one share for each map; the shared sum goes through a 1×1
    convolution. No sigmoid follows: factors can be negative or large, and the output is quadratic in the skip, which
    overflows in float16 where large. At the defaults it has 3/2·channels² + 78·channels + 198 parameters, and
    3/2·channels² + 74·channels + 196 multiply-adds a position.

    Args:
        channels: Width of the skip; at least as many as there are `kernels`.
        kernels: Edges of the depthwise convolutions, odd, one or more; 5 and 7 are the paper's values.
        dilations: One for each kernel, 1 or more; 1 and 3 are the paper's values.
        squeeze: Edge of the convolution that selects, odd; 7 is the authors' value.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S.

    Reference:
        https://arxiv.org/abs/2303.09030; https://github.com/zcablii/LSKNet (CC-BY-NC-4.0).

    Deviations:
        It is the selection alone: in the network, 1×1 convolutions, a GELU and a residual stand around it. Where
        several values are the maximum, they share the gradient. The width channels/N follows the authors' code, and is
        rounded down. 3-D is ours.
    """

    kind: ClassVar[Literal["scale"]] = "scale"

    def __init__(
        self,
        channels: int,
        *,
        kernels: tuple[int, ...] = (5, 7),
        dilations: tuple[int, ...] = (1, 3),
        squeeze: int = 7,
        dims: Literal[2, 3] = 2,
    ) -> None:
        super().__init__()
        check_form("lsk", dims, channels=channels)
        if not kernels or len(kernels) != len(dilations) or min(dilations) < 1:
            raise AttnzooError(
                f"`lsk` cannot pair kernels={kernels} with dilations={dilations}",
                "give one dilation, 1 or more, for each kernel",
            )
        for edge in (*kernels, squeeze):
            if edge < 1 or edge % 2 == 0:
                raise AttnzooError(f"`lsk` cannot centre a convolution of {edge}", "`kernels` and `squeeze` are odd")
        if channels < len(kernels):
            raise AttnzooError(
                f"`lsk` cannot share {channels} channels among {len(kernels)} kernels",
                f"it takes {len(kernels)} channels or more",
            )
        conv, count = CONV[dims], len(kernels)
        width = channels // count
        self.U = nn.ModuleList(
            conv(channels, channels, edge, padding=edge // 2 * step, dilation=step, groups=channels)
            for edge, step in zip(kernels, dilations, strict=True)
        )
        self.F_mix = nn.ModuleList(conv(channels, width, 1) for _ in kernels)
        self.F_select = conv(2, count, squeeze, padding=squeeze // 2)
        self.F = conv(width, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights(x)

    def weights(self, x: Tensor) -> Tensor:
        maps, seen = [], x
        for see, mix in zip(self.U, self.F_mix, strict=True):
            seen = see(seen)  # (B, C, *S)
            maps.append(mix(seen))  # (B, C/N, *S)
        mixed = torch.stack(maps, 1)  # (B, N, C/N, *S)
        pooled = torch.stack([mixed.mean((1, 2)), mixed.amax((1, 2))], 1)  # (B, 2, *S)
        shares = self.F_select(pooled).sigmoid().unsqueeze(2)  # (B, N, 1, *S)
        factor: Tensor = self.F((shares * mixed).sum(1))  # (B, C, *S)
        return factor
