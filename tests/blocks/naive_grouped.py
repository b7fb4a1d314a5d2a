"""Convolutions with groups, dilation and edges that differ, one number at a time."""

import numpy as np
from torch import nn

from .naive import Array, array


def convolve(maps: Array, layer: nn.Module) -> Array:
    """A convolution of (C, *S) that keeps the size, zeros beyond the border."""
    weight = array(layer.weight)
    bias = np.zeros(len(weight)) if layer.bias is None else array(layer.bias)
    sizes, edges, width = maps.shape[1:], weight.shape[2:], weight.shape[1]
    result = np.zeros((len(weight), *sizes))
    for out, at in ((out, at) for out in range(len(weight)) for at in np.ndindex(*sizes)):
        first = out // (len(weight) // layer.groups) * width
        total = bias[out]
        for offset in np.ndindex(*edges):
            steps = [
                (place - edge // 2) * step for place, edge, step in zip(offset, edges, layer.dilation, strict=True)
            ]
            source = tuple(place + step for place, step in zip(at, steps, strict=True))
            if all(0 <= place < size for place, size in zip(source, sizes, strict=True)):
                total += sum(weight[(out, into, *offset)] * maps[(first + into, *source)] for into in range(width))
        result[(out, *at)] = total
    return result


def chain(maps: Array, layers: nn.Sequential) -> Array:
    """Convolutions one behind the other, a row's before a column's."""
    axes = [int(np.argmax(layer.weight.shape[2:])) for layer in layers]
    assert axes == list(reversed(range(maps.ndim - 1)))
    for layer in layers:
        assert sum(edge > 1 for edge in layer.weight.shape[2:]) == 1
        maps = convolve(maps, layer)
    return maps
