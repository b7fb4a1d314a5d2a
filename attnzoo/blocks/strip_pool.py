"""Strip pooling, as SPNet's mixed pooling module: Hou et al., CVPR 2020."""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attnzoo.blocks._parts import BatchNorm2d
from attnzoo.errors import AttnzooError
from attnzoo.registry import check_form, register


@register(
    "strip_pool",
    paper="Hou et al.: Strip Pooling: Rethinking Spatial Pooling for Scene Parsing",
    year=2020,
    reference="https://arxiv.org/abs/2003.13328",
    code="https://github.com/houqb/SPNet",
    licence="MIT",
)
class StripPool(nn.Module):
    """Adds to the skip what coarse grids of it, and the means of its rows and of its columns, hold, and rectifies it.

    Two branches of channels/4 each. In one, 3×3 convolutions see the map itself and two coarse grids of its means,
    which are brought back to its size; in the other, convolutions of 3 see the means of its columns and of its rows,
    which are spread over the map. Each is summed and rectified, and goes through a 3×3 convolution; a 1×1 convolution
    mixes both, the skip is added, and a ReLU ends. A batch norm follows each convolution. It has about 4.2·channels²
    parameters, and costs about 2.7·channels² multiply-adds a position, and 0.6·channels² for each cell of the grids.

    Args:
        channels: Width of the skip, 4 or more.
        pools: Edges of the two coarse grids, 1 or more; 20 and 12 in the authors' segmentation networks. A map smaller
            than a grid is repeated.
        dims: Spatial dimensions, 2.

    Shape:
        (B, C, H, W) → (B, C, H, W), for any size.

    Reference:
        https://arxiv.org/abs/2003.13328; https://github.com/houqb/SPNet (MIT).

    Deviations:
        Follows the authors' class of this name, which is the paper's mixed pooling module and not its smaller strip
        pooling module. The grids are made by matrices and not by adaptive pooling, which is equal, deterministic on
        CUDA, and can be exported. Strips are spread by broadcasting and not by interpolation, which is equal.
    """

    kind: ClassVar[Literal["mix"]] = "mix"
    only_2d: ClassVar[str] = "its equations pool the rows, the columns and the squares of a plane"

    def __init__(self, channels: int, *, pools: tuple[int, int] = (20, 12), dims: Literal[2] = 2) -> None:
        super().__init__()
        check_form("strip_pool", dims, possible=(2,), why=self.only_2d, channels=channels)
        if channels < 4:
            raise AttnzooError(f"`strip_pool` cannot quarter {channels} channels", "it takes 4 channels or more")
        if min(pools) < 1:
            raise AttnzooError(f"`strip_pool` cannot pool to pools={pools}", "both grids have an edge of 1 or more")
        inner = channels // 4
        self.pools = pools
        self.conv1_1, self.conv1_2 = (nn.Sequential(_conv(channels, inner, 1, 1), nn.ReLU()) for _ in range(2))
        self.conv2_0, self.conv2_1, self.conv2_2 = (_conv(inner, inner, 3, 3) for _ in range(3))
        self.conv2_3, self.conv2_4 = _conv(inner, inner, 1, 3), _conv(inner, inner, 3, 1)
        self.conv2_5, self.conv2_6 = (nn.Sequential(_conv(inner, inner, 3, 3), nn.ReLU()) for _ in range(2))
        self.conv3 = _conv(2 * inner, channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        square, strip = self.conv1_1(x), self.conv1_2(x)  # (B, C/4, H, W), both
        fine, coarse = (_grid(square, edge) for edge in self.pools)  # (B, C/4, edge, edge)
        squares = self.conv2_0(square) + _spread(self.conv2_1(fine), x) + _spread(self.conv2_2(coarse), x)
        columns, rows = strip.mean(2, keepdim=True), strip.mean(3, keepdim=True)  # (B, C/4, 1, W), (B, C/4, H, 1)
        strips = self.conv2_3(columns) + self.conv2_4(rows)  # (B, C/4, H, W)
        both = torch.cat([self.conv2_5(squares.relu()), self.conv2_6(strips.relu())], 1)  # (B, C/2, H, W)
        # a ReLU that keeps its input, and not its result, for the gradient: what follows may work in place
        return F.threshold(x + self.conv3(both), 0.0, 0.0)  # (B, C, H, W)


def _conv(inward: int, outward: int, high: int, wide: int) -> nn.Sequential:
    """A convolution that keeps the size, and its norm; one layer in the authors' counting."""
    conv = nn.Conv2d(inward, outward, (high, wide), padding=(high // 2, wide // 2), bias=False)
    return nn.Sequential(conv, BatchNorm2d(outward))


def _grid(x: Tensor, edge: int) -> Tensor:
    """Adaptive average pooling to edge×edge."""
    rows, columns = (_bins(size, edge, x) for size in x.shape[2:])
    return rows @ x @ columns.T


def _bins(size: int, count: int, like: Tensor) -> Tensor:
    """A matrix (count, size) that takes means: bin i is from ⌊i·size/count⌋ up to ⌈(i + 1)·size/count⌉, exclusive."""
    place = torch.arange(size, device=like.device)
    index = torch.arange(count, device=like.device).unsqueeze(1)
    first, end = index * size // count, ((index + 1) * size + count - 1) // count
    inside = (place >= first) & (place < end)  # (count, size)
    return inside.to(like.dtype) / (end - first)


def _spread(x: Tensor, like: Tensor) -> Tensor:
    """Resized to the size of another map, corners aligned."""
    return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=True)
