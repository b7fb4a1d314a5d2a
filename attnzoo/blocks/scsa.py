"""Spatial and channel synergistic attention (SCSA): Si et al., Neurocomputing 2025."""

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attnzoo.blocks._parts import CONV, means_along
from attnzoo.errors import AttnzooError, divisors
from attnzoo.registry import check_form, register

KERNELS = (3, 5, 7, 9)  # of the quarters of the channels


class _Norm(nn.GroupNorm):
    """Torch's, which would refuse groups of a single value; of one, the norm is its bias."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


@register(
    "scsa",
    paper="Si et al.: SCSA: Exploring the Synergistic Effects Between Spatial and Channel Attention",
    year=2025,
    reference="https://arxiv.org/abs/2407.05128",
    code="https://github.com/HZAI-ZJNU/SCSA",
)
class SCSA(nn.Module):
    """Scales each value by one number for its row and one for its column, and then each channel by one number.

    Rows and columns: the means of each go through depthwise 1-D convolutions, of another length in each quarter of the
    channels and the same for rows and columns, a group norm and a sigmoid. Channels: the scaled map is pooled in
    windows, normalised, and within each head the channels attend to one another; the mean over the windows and a
    sigmoid give the factor. It has 16·channels parameters in 2-D, and little cost beside the pooling.

    Args:
        channels: Width of the skip; a multiple of 4 and of `heads`.
        heads: Number of heads in which channels attend to one another; 8 in the authors' networks. With as many heads
            as channels, each attends to itself alone.
        window: Edge of the windows that are pooled, from 1 up; 7 is the authors' default.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S.

    Reference:
        https://arxiv.org/abs/2407.05128; https://github.com/HZAI-ZJNU/SCSA (no licence).

    Deviations:
        The authors' code fails on a map smaller than the window: there, an edge that is shorter is one window. On any
        other it is followed, an incomplete last window being left out. A norm of a single value is its bias. The
        last norm and the attention are over windows with weights, of which the complete have 1 and the others 0: equal,
        and an exported program takes any size. Of the code's ways to pool, the mean; of its gates, the sigmoid. 3-D is
        ours: each axis has its strip and its norm.
    """

    kind: ClassVar[Literal["scale"]] = "scale"

    def __init__(self, channels: int, *, heads: int = 8, window: int = 7, dims: Literal[2, 3] = 2) -> None:
        super().__init__()
        check_form("scsa", dims, channels=channels)
        if channels % 4:
            raise AttnzooError(f"`scsa` cannot quarter {channels} channels", "channels are a multiple of 4")
        if heads < 1 or channels % heads:
            raise AttnzooError(
                f"`scsa` cannot split {channels} channels into heads={heads}",
                f"{channels} divides into {', '.join(map(str, divisors(channels)))} heads",
            )
        if window < 1:
            raise AttnzooError(f"`scsa` cannot pool with window={window}", "`window` is 1 or more")
        self.heads, self.window = heads, window
        quarter = channels // 4
        self.dwc = nn.ModuleList(nn.Conv1d(quarter, quarter, k, padding=k // 2, groups=quarter) for k in KERNELS)
        self.norms = nn.ModuleList(_Norm(4, channels) for _ in range(dims))
        self.norm = nn.GroupNorm(1, channels)
        self.q, self.k, self.v = (CONV[dims](channels, channels, 1, groups=channels, bias=False) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights(x)

    def weights(self, x: Tensor) -> Tensor:
        spatial = x.new_ones(())
        for axis, norm in zip(range(2, x.ndim), self.norms, strict=True):
            strip = means_along(x, axis)  # (B, C, 1, S_axis)
            quarters = zip(self.dwc, strip.flatten(2).chunk(4, 1), strict=True)
            seen = norm(torch.cat([convolve(quarter) for convolve, quarter in quarters], 1))  # (B, C, S_axis)
            spatial = spatial * seen.sigmoid().reshape(strip.shape)  # (B, C, *S), once all axes are in
        return spatial * self._channels(x * spatial)  # (B, C, *S)

    def _channels(self, x: Tensor) -> Tensor:
        y, kept = _windows(x, self.window)  # (B, C, *n), (*n)
        y = (_norm_of_kept(y, kept, self.norm) * kept).to(x.dtype)
        q, k, v = (layer(y).flatten(2).unflatten(1, (self.heads, -1)) for layer in (self.q, self.k, self.v))
        attention = (q @ k.transpose(2, 3) * q.shape[2] ** -0.5).softmax(3)  # (B, heads, C/heads, C/heads)
        means = (attention @ v).sum(3).flatten(1) / kept.sum()  # (B, C)
        factor: Tensor = means.sigmoid().reshape(*x.shape[:2], *[1] * (x.ndim - 2))  # (B, C, 1, 1)
        return factor


def _windows(x: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """The means of windows, and 1 for each that is kept.

    Along each axis all but the last are, which is incomplete or empty: so there are two at least, and an exported
    program does not have to tell one from several. An edge shorter than a window is one.
    """
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    kept, covered = wide.new_ones(()), wide.new_ones(())
    padding: Any = []
    for size in reversed(x.shape[2:]):
        edge = int(size) if isinstance(size, Tensor) else size  # while `torch.jit` traces, as to count multiply-adds
        padding += [0, (torch.sym_max(edge, window) // window + 1) * window - edge]
        covered = covered.mul(torch.sym_min(window, edge)) / window
    y = F.pad(wide, padding) / covered
    for axis in range(2, x.ndim):  # and not torch's pooling, whose gradient is not deterministic for volumes
        y = torch.unflatten(y, axis, (-1, window)).mean(axis + 1)  # (B, C, *n), once all axes are in
    for size in y.shape[2:]:
        kept = kept.unsqueeze(-1) * (torch.arange(size, device=x.device) < size - 1)  # (*n)
    return y, kept


def _norm_of_kept(y: Tensor, kept: Tensor, norm: nn.GroupNorm) -> Tensor:
    """The group norm in one group, of no more than what is kept."""
    axes, count = list(range(1, y.ndim)), y.shape[1] * kept.sum()
    centred = y - (y * kept).sum(axes, keepdim=True) / count
    normed = centred * ((centred.square() * kept).sum(axes, keepdim=True) / count + norm.eps).rsqrt()
    weight, bias = (value.reshape(-1, *[1] * kept.ndim) for value in (norm.weight, norm.bias))
    return normed * weight + bias
