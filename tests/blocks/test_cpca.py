"""CPCA's equations, as loops."""

import math
from typing import Literal

import numpy as np
import pytest
from torch import nn

from attnzoo import registry
from attnzoo.blocks.cpca import CPCA
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import array, convolve, positions, sigmoid


def depthwise(maps: np.ndarray, layer: nn.Module) -> np.ndarray:
    weight, result = array(layer.weight), np.zeros_like(maps)
    pads = [edge // 2 for edge in weight.shape[2:]]
    for channel in range(len(maps)):
        for at in positions(maps):
            total = array(layer.bias)[channel]
            for offset in np.ndindex(*weight.shape[2:]):
                source = tuple(place + step - pad for place, step, pad in zip(at, offset, pads, strict=True))
                if all(0 <= place < size for place, size in zip(source, maps.shape[1:], strict=True)):
                    total += weight[(channel, 0, *offset)] * maps[(channel, *source)]
            result[(channel, *at)] = total
    return result


def gelu(value: float) -> float:
    return value * (1 + math.erf(value / math.sqrt(2))) / 2


def naive_cpca(maps: np.ndarray, block: CPCA) -> np.ndarray:
    """One sample, (C, *S)."""
    inward, outward = (array(layer.weight).reshape(layer.weight.shape[:2]) for layer in (block.ca.fc1, block.ca.fc2))
    mixed, prior = np.vectorize(gelu)(convolve(maps, block.conv)), np.zeros_like(maps)
    for pool in (np.mean, np.max):
        inner = np.maximum(inward @ np.array([pool(one) for one in mixed]) + array(block.ca.fc1.bias), 0)
        for channel, value in enumerate(outward @ inner + array(block.ca.fc2.bias)):
            prior[channel] += sigmoid(value) * mixed[channel]
    near = depthwise(prior, block.dconv5_5)
    total = near.copy()
    for strip in block.strips:
        seen = near
        for layer in strip:
            seen = depthwise(seen, layer)
        total += seen
    return convolve(convolve(total, block.conv) * prior, block.conv)


@pytest.mark.parametrize("size", [(3, 4), (9, 2), (1, 1), (2, 3, 2)])
def test_equations(size: tuple[int, ...]) -> None:
    block = CPCA(3, reduction=2, dims=2 if len(size) == 2 else 3).double()
    fill(block)
    x = wave(2, 3, *size)
    expected = np.array([naive_cpca(sample, block) for sample in array(x)])
    np.testing.assert_allclose(array(block(x)), expected, rtol=1e-10, atol=1e-12)


def test_strips_lie_along_every_axis() -> None:
    for dims, edges in ((2, [(1, 7), (7, 1)]), (3, [(1, 1, 7), (1, 7, 1), (7, 1, 1)])):
        assert [layer.kernel_size for layer in registry.build("cpca", 8, dims=dims).strips[0]] == edges


@pytest.mark.parametrize(("dims", "count"), [(2, 13328), (3, 22416)])
def test_parameters(dims: Literal[2, 3], count: int) -> None:
    assert sum(weight.numel() for weight in CPCA(64, dims=dims).parameters()) == count


def test_impossible_options_are_told() -> None:
    with pytest.raises(AttnzooError) as caught:
        registry.build("cpca", 3)
    assert str(caught.value) == (
        "`cpca` cannot reduce 3 channels by reduction=4\nhint: with 3 channels, reduction is 1 to 3"
    )
