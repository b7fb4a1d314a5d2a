"""What three or more blocks share: layers and modes by the number of spatial dimensions, and the choice of groups."""

from types import FunctionType
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from attnzoo.errors import AttnzooError


class _Sound(_BatchNorm):
    """Normalises by its running statistics where a channel has a single value, and leaves them as they are.

    Torch's refuse that in training, a batch of one with a map of one position: one value has no variance.
    """

    # `super().forward`, which TorchScript cannot call; a function is compiled under its name, and `forward` is taken
    _usual = FunctionType(_BatchNorm.forward.__code__, _BatchNorm.forward.__globals__, "_usual")

    def forward(self, x: Tensor) -> Tensor:
        if self.training and x.numel() == x.shape[1]:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        normed: Tensor = self._usual(x)
        return normed


class BatchNorm1d(_Sound, nn.BatchNorm1d):
    """Torch's, sound for a single value."""


class BatchNorm2d(_Sound, nn.BatchNorm2d):
    """Torch's, sound for a single value."""


class BatchNorm3d(_Sound, nn.BatchNorm3d):
    """Torch's, sound for a single value."""


CONV: dict[int, type[nn.Conv1d] | type[nn.Conv2d] | type[nn.Conv3d]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
BATCH_NORM: dict[int, type[BatchNorm1d] | type[BatchNorm2d] | type[BatchNorm3d]] = {
    1: BatchNorm1d,
    2: BatchNorm2d,
    3: BatchNorm3d,
}


def grouping(block: str, channels: int, groups: int | Literal["auto"], default: int, possible: list[int]) -> int:
    """The number of groups that is meant, where `auto` is the largest possible one up to the default; or a refusal."""
    if groups == "auto":
        groups = max(number for number in possible if number <= default)
    if groups not in possible:
        *some, last = map(str, possible)
        numbers = f"{', '.join(some)} or {last} groups" if some else f"{last} group"
        raise AttnzooError(
            f"`{block}` cannot split {channels} channels into groups={groups!r}",
            f"{channels} divides into {numbers}, and `groups=auto` takes the largest up to {default}",
        )
    return groups


def means_along(x: Tensor, axis: int) -> Tensor:
    """The strip along an axis, as long as that and 1 wide: means over the other spatial axes."""
    others = list(range(2, x.ndim))
    others.remove(axis)
    return x.mean(others, keepdim=True)


def positions(x: Tensor) -> int:
    """How many a channel has; `math.prod` is not in TorchScript's part of Python."""
    number = 1
    for edge in x.shape[2:]:
        number *= edge
    return number


def perceptron(channels: int, inner: int, dims: int) -> nn.Sequential:
    """Two layers on each position alone, each with a norm: a branch of `ms_cam`, `aff` and `iaff`."""
    return nn.Sequential(
        CONV[dims](channels, inner, 1),
        BATCH_NORM[dims](inner),
        nn.ReLU(),
        CONV[dims](inner, channels, 1),
        BATCH_NORM[dims](channels),
    )


def multi_scale(x: Tensor, local_att: nn.Module, global_att: nn.Module) -> Tensor:
    """A factor for each number of a map, from its position and from the whole map: of `ms_cam`, `aff` and `iaff`."""
    pooled = x.mean(list(range(2, x.ndim)), keepdim=True)  # (B, C, 1, 1)
    factor: Tensor = (local_att(x) + global_att(pooled)).sigmoid()  # (B, C, *S)
    return factor


def strip_chain(channels: int, length: int, dims: int, dilation: int = 1) -> nn.Sequential:
    """Depthwise convolutions that keep the size, along one axis each: a row, a column, and in 3-D a pillar."""
    layers = nn.Sequential()
    for axis in reversed(range(dims)):
        kernel: Any = [1] * dims
        padding: Any = [0] * dims
        kernel[axis], padding[axis] = length, length // 2 * dilation
        layers.append(CONV[dims](channels, channels, kernel, padding=padding, dilation=dilation, groups=channels))
    return layers
