"""Multidimensional collaborative attention (MCA): Yu et al., EAAI 2023."""

import math
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from attnzoo.errors import AttnzooError
from attnzoo.registry import check_form, register


@register(
    "mca",
    paper="Yu et al.: MCA: Multidimensional Collaborative Attention in Deep Convolutional Neural Networks",
    year=2023,
    reference="https://doi.org/10.1016/j.engappai.2023.107079",
    code="https://github.com/ndsclark/MCANet",
)
class MCA(nn.Module):
    """Scales each value by the mean of three numbers: one for its row, one for its column and one for its channel.

    Each comes from a gate of the same form: the means and the standard deviations of all slices along that dimension
    are mixed, with learned weights, and a 1-D convolution along the dimension and a sigmoid follow. A gate has
    kernel + 2 parameters, which makes 15 at 64 channels, and costs but the pooling.

    Args:
        channels: Width of the skip.
        kernel: Length of the convolution along the channels, odd; `auto` is the authors' rule, (log2(channels) - 1)/1.5
            rounded, and if even one less. Along rows and columns it is 3.
        channel_gate: Whether channels have a gate too; without it the mean is over rows and columns, the authors'
            `no_spatial`.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S.

    Reference:
        https://doi.org/10.1016/j.engappai.2023.107079; https://github.com/ndsclark/MCANet (no licence).

    Deviations:
        The standard deviation is unbiased, as in the authors' code; of a single value it is 0 here, and not a number
        there. Their rule for the kernel gives -1 for 2 or 3 channels: 1 here. 3-D is ours: a gate for each axis.
    """

    kind: ClassVar[Literal["scale"]] = "scale"

    def __init__(
        self,
        channels: int,
        *,
        kernel: int | Literal["auto"] = "auto",
        channel_gate: bool = True,
        dims: Literal[2, 3] = 2,
    ) -> None:
        super().__init__()
        check_form("mca", dims, channels=channels)
        if kernel == "auto":
            rounded = round(abs(math.log2(channels) - 1) / 1.5) or 1
            kernel = rounded - 1 + rounded % 2
        if kernel < 1 or kernel % 2 == 0:
            raise AttnzooError(f"`mca` cannot centre kernel={kernel!r}", "a kernel is odd, such as 3 or 5, or `auto`")
        gates = [_Gate(axis, 3) for axis in range(2, 2 + dims)]
        self.gates = nn.ModuleList([*gates, _Gate(1, kernel)] if channel_gate else gates)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights(x)

    def weights(self, x: Tensor) -> Tensor:
        total = x.new_zeros(())
        for gate in self.gates:
            total = total + gate(x)
        return total / len(self.gates)  # (B, C, *S)


class _Gate(nn.Module):
    """One number for each slice along an axis."""

    def __init__(self, axis: int, kernel: int) -> None:
        super().__init__()
        self.axis = axis
        self.conv = nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False)
        self.weight = nn.Parameter(torch.rand(2))

    def forward(self, x: Tensor) -> Tensor:
        axes = [axis for axis in range(1, x.ndim) if axis != self.axis]
        values = x.new_ones((), dtype=torch.promote_types(x.dtype, torch.float32))
        for axis in axes:
            values = values * x.shape[axis]
        unbiased = (values / (values - 1).clamp(min=1)).sqrt().to(x.dtype)
        mean = x.mean(axes, keepdim=True)  # (B, 1, S_axis, 1)
        deviation = x.std(axes, correction=0, keepdim=True) * unbiased  # (B, 1, S_axis, 1)
        first, second = (0.5 + self.weight.sigmoid()).unbind()
        squeezed = first * mean + second * deviation  # (B, 1, S_axis, 1)
        factor: Tensor = self.conv(squeezed.flatten(1).unsqueeze(1)).sigmoid().reshape(squeezed.shape)
        return factor
