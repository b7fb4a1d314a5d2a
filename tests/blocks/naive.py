"""Arithmetic as papers write it, one number at a time: what the blocks' equations are tested against."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from torch import Tensor, nn

Array = np.ndarray


def array(tensor: Tensor | nn.Parameter) -> Array:
    return tensor.detach().double().numpy()


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def softmax(values: Sequence[float]) -> list[float]:
    total = sum(map(math.exp, values))
    return [math.exp(value) / total for value in values]


def positions(maps: Array) -> Iterator[tuple[int, ...]]:
    """Every position of maps (C, *S)."""
    return np.ndindex(*maps.shape[1:])


def convolve(maps: Array, layer: nn.Module, *, stride: int = 1) -> Array:
    """A convolution of (C, *S), with the layer's zero padding, in the size that the stride leaves."""
    weight = array(layer.weight)
    bias = np.zeros(len(weight)) if layer.bias is None else array(layer.bias)
    edge, pad = weight.shape[2], layer.padding[0]
    sizes = [(size + 2 * pad - edge) // stride + 1 for size in maps.shape[1:]]
    result = np.zeros((len(weight), *sizes))
    for out, at in ((out, at) for out in range(len(weight)) for at in np.ndindex(*sizes)):
        total = bias[out]
        for offset in np.ndindex(*weight.shape[2:]):
            source = tuple(stride * place + step - pad for place, step in zip(at, offset, strict=True))
            if all(0 <= place < size for place, size in zip(source, maps.shape[1:], strict=True)):
                total += sum(weight[(out, into, *offset)] * maps[(into, *source)] for into in range(len(maps)))
        result[(out, *at)] = total
    return result


def batch_norm(maps: Array, layer: nn.Module) -> Array:
    """A batch norm in evaluation mode."""
    result = np.empty_like(maps)
    for channel in range(len(maps)):
        deviation = math.sqrt(array(layer.running_var)[channel] + layer.eps)
        normed = (maps[channel] - array(layer.running_mean)[channel]) / deviation
        result[channel] = normed * array(layer.weight)[channel] + array(layer.bias)[channel]
    return result


def resize(maps: Array, sizes: Sequence[int]) -> Array:
    """Linear interpolation of (C, *S), one axis after the other; pixels are areas, so corners are not aligned."""
    for axis, size in enumerate(sizes, start=1):
        old, slices = maps.shape[axis], []
        for place in range(size):
            source = min(max((place + 0.5) * old / size - 0.5, 0.0), old - 1.0)
            low = int(source)
            high, share = min(low + 1, old - 1), source - low
            slices.append((1 - share) * maps.take(low, axis) + share * maps.take(high, axis))
        maps = np.stack(slices, axis)
    return maps
