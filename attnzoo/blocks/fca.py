"""Frequency channel attention (FCA): Qin et al., ICCV 2021."""

import math
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from attnzoo.errors import AttnzooError
from attnzoo.registry import check_form, register

# The frequencies of a 7×7 grid, (vertical, horizontal), by how well ImageNet is classified with each of them alone.
RANKED = (
    *((0, 0), (0, 1), (6, 0), (0, 5), (0, 2), (1, 0), (1, 2), (4, 0)),
    *((5, 0), (1, 6), (3, 0), (0, 4), (0, 6), (0, 3), (3, 5), (2, 2)),
    *((4, 6), (6, 3), (3, 3), (5, 3), (5, 5), (2, 1), (6, 1), (5, 2)),
    *((5, 4), (3, 2), (3, 1), (4, 1), (2, 3), (2, 0), (6, 5), (1, 3)),
)
BASE = 7  # the edge of the grid on which they are counted


@register(
    "fca",
    paper="Qin et al.: FcaNet: Frequency Channel Attention Networks",
    year=2021,
    reference="https://arxiv.org/abs/2012.11879",
    code="https://github.com/cfzd/FcaNet",
    licence="MIT",
)
class FCA(nn.Module):
    """Scales each channel by one number, which all channels decide, each heard at one spatial frequency.

    Squeeze-and-excitation, but the mean, which is (times `grid`) the lowest frequency of a discrete cosine transform,
    is kept for the first part of the channels only: each further part is squeezed by another basis function. Two dense
    layers without biases, a ReLU between them and a sigmoid excite the channels. It has
    2·channels²/reduction parameters, and about one multiply-add per value for the transform.

    Args:
        channels: Width of the skip; a multiple of `frequencies`.
        frequencies: Number of basis functions, 1, 2, 4, 8, 16 or 32, the best of the authors' ranking; 16 is theirs.
        grid: Edge of the grid on which they live, 7 or more; the map is pooled to it. A frequency u of the ranking is
            u·⌊grid/7⌋ here. The authors take 56, 28, 14 and 7 at the four stages of a ResNet.
        reduction: The bottleneck is `channels // reduction` wide, which must be at least 1; 16 is the paper's value.
        dims: Spatial dimensions, 2 only.

    Shape:
        (B, C, H, W) → (B, C, H, W), for any H and W.

    Reference:
        https://arxiv.org/abs/2012.11879; https://github.com/cfzd/FcaNet (MIT).

    Deviations:
        The authors' layer is told a grid for each stage, and pools a map of another size to it, adaptively; so does
        ours, at any size, but on 7×7 where nothing is said: no larger grid suits all levels. Pooling and transform are
        one product per axis, which is equal, deterministic, and made in float32. Of their three rankings, `top`.
    """

    kind: ClassVar[Literal["scale"]] = "scale"
    only_2d: ClassVar[str] = "its frequencies are pairs, which the authors ranked on images"
    vertical: Tensor
    horizontal: Tensor

    def __init__(
        self, channels: int, *, frequencies: int = 16, grid: int = 7, reduction: int = 16, dims: Literal[2] = 2
    ) -> None:
        super().__init__()
        check_form("fca", dims, possible=(2,), why=self.only_2d, channels=channels)
        if frequencies not in (1, 2, 4, 8, 16, 32) or channels % frequencies:
            raise AttnzooError(
                f"`fca` cannot share {frequencies} frequencies among {channels} channels",
                "`frequencies` is 1, 2, 4, 8, 16 or 32, and divides the channels",
            )
        if grid < BASE:
            raise AttnzooError(f"`fca` cannot fit its frequencies on grid={grid}", f"`grid` is {BASE} or more")
        if not 1 <= reduction <= channels:
            raise AttnzooError(
                f"`fca` cannot reduce {channels} channels by reduction={reduction}",
                f"with {channels} channels, reduction is 1 to {channels}",
            )
        self.grid = grid
        u = torch.tensor(RANKED[:frequencies]).repeat_interleave(channels // frequencies, 0) * (grid // BASE)
        self.register_buffer("vertical", u[:, 0].clone(), persistent=False)
        self.register_buffer("horizontal", u[:, 1].clone(), persistent=False)
        inner = channels // reduction
        self.fc = nn.Sequential(
            nn.Linear(channels, inner, bias=False), nn.ReLU(), nn.Linear(inner, channels, bias=False), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights(x)

    def weights(self, x: Tensor) -> Tensor:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        rows = (wide * self._filters(self.horizontal, wide, 3).unsqueeze(1)).sum(3)  # (B, C, H)
        heard = (rows * self._filters(self.vertical, wide, 2)).sum(2)  # (B, C)
        factor: Tensor = self.fc(heard.to(x.dtype))  # (B, C)
        return factor.unsqueeze(2).unsqueeze(3)  # (B, C, 1, 1)

    def _filters(self, u: Tensor, x: Tensor, axis: int) -> Tensor:
        """What each channel is multiplied by along an axis: a basis function of the grid, on the cells of the map."""
        place, length = torch.arange(x.shape[axis], device=x.device), x.shape[axis]
        cell = torch.arange(self.grid, device=x.device).unsqueeze(1)
        pooled = (place >= cell * length // self.grid) & (place < ((cell + 1) * length + self.grid - 1) // self.grid)
        share = pooled.to(x.dtype) / pooled.sum(1, keepdim=True)  # (grid, S_axis)
        angle = u.to(x.dtype).unsqueeze(1) * (cell.squeeze(1) + 0.5) * (math.pi / self.grid)  # (C, grid)
        height = ((1 + (u > 0)).to(x.dtype) / self.grid).sqrt().unsqueeze(1)  # (C, 1)
        return ((height * angle.cos()).unsqueeze(2) * share).sum(1)  # (C, S_axis)
