"""Mixed local channel attention (MLCA): Wan et al., EAAI 2023."""

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from attnzoo.errors import AttnzooError
from attnzoo.registry import check_form, register


@register(
    "mlca",
    paper="Wan et al.: Mixed Local Channel Attention for Object Detection",
    year=2023,
    reference="https://doi.org/10.1016/j.engappai.2023.106442",
    code="https://github.com/wandahangFY/MLCA",
)
class MLCA(nn.Module):
    """Scales each channel, in each patch of a coarse grid, by what its neighbouring channels hold there and everywhere.

    The map is pooled to a few patches. A 1-D convolution along the channels of each patch, and another along the means
    of all patches, each with a sigmoid, are mixed with fixed weights and spread over the map again. It has 2·kernel
    parameters, and about two multiply-adds per value.

    Args:
        channels: Width of the skip.
        local_size: Patches along each axis, from 1 up; 5 is the authors' default.
        local_weight: Weight of the patches in the mixture, 0 to 1; the means have the rest. 0.5 is theirs.
        kernel: Length of both convolutions, odd; `auto` is ECA's and the authors' rule, half of log2(channels) + 1,
            rounded down and then up to an odd number.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S.

    Reference:
        https://doi.org/10.1016/j.engappai.2023.106442; https://github.com/wandahangFY/MLCA (no licence).

    Deviations:
        Follows the authors' code. Its earlier version, still in circulation, pools the factors of the means across the
        batch; corrected here as in theirs. As there, patches follow one another in one sequence, so that the
        convolution reaches from a patch's last channel into the next patch's first. Pooling, to the patches and back,
        is adaptive, written as one product per axis: equal, and deterministic. 3-D is ours.
    """

    kind: ClassVar[Literal["scale"]] = "scale"

    def __init__(
        self,
        channels: int,
        *,
        local_size: int = 5,
        local_weight: float = 0.5,
        kernel: int | Literal["auto"] = "auto",
        dims: Literal[2, 3] = 2,
    ) -> None:
        super().__init__()
        check_form("mlca", dims, channels=channels)
        if local_size < 1:
            raise AttnzooError(f"`mlca` cannot pool to local_size={local_size}", "`local_size` is 1 or more")
        if not 0 <= local_weight <= 1:
            raise AttnzooError(f"`mlca` cannot mix with local_weight={local_weight}", "`local_weight` is 0 to 1")
        if kernel == "auto":
            kernel = int((math.log2(channels) + 1) / 2) // 2 * 2 + 1
        if kernel < 1 or kernel % 2 == 0:
            raise AttnzooError(f"`mlca` cannot centre kernel={kernel!r}", "a kernel is odd, such as 3 or 5, or `auto`")
        self.local_size, self.local_weight = local_size, local_weight
        self.conv = nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False)
        self.conv_local = nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights(x)

    def weights(self, x: Tensor) -> Tensor:
        patches = _pool(x, [self.local_size] * (x.ndim - 2))  # (B, C, k, k)
        means = patches.flatten(2).mean(2)  # (B, C)
        everywhere = self.conv(means.unsqueeze(1)).sigmoid().transpose(1, 2)  # (B, C, 1)
        sequence = patches.flatten(2).transpose(1, 2)  # (B, k², C)
        there = self.conv_local(sequence.flatten(1).unsqueeze(1)).sigmoid().reshape(sequence.shape).transpose(1, 2)
        mixed = self.local_weight * there + (1 - self.local_weight) * everywhere  # (B, C, k²)
        return _pool(mixed.reshape(patches.shape), x.shape[2:])  # (B, C, *S)

    def extra_repr(self) -> str:
        return f"local_size={self.local_size}, local_weight={self.local_weight}"


def _pool(x: Tensor, sizes: Sequence[int]) -> Tensor:
    """Adaptive average pooling, one axis after the other; to a larger size it spreads the values."""
    for axis, size in enumerate(sizes, start=2):
        length = x.shape[axis]
        place, cell = torch.arange(length, device=x.device).unsqueeze(1), torch.arange(size, device=x.device)
        inside = (place >= cell * length // size) & (place < ((cell + 1) * length + size - 1) // size)
        share = inside.to(x.dtype) / inside.sum(0)  # (S_axis, size)
        x = (x.movedim(axis, -1) @ share).movedim(-1, axis)
    return x
