"""Strip pooling's equations, as loops; and PyTorch's adaptive pooling."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from attnzoo import registry
from attnzoo.blocks.strip_pool import StripPool, _grid
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import Array, array, batch_norm
from .naive_grouped import convolve


def normed(maps: Array, layer: nn.Sequential) -> Array:
    return batch_norm(convolve(maps, layer[0]), layer[1])


def grid(maps: Array, edge: int) -> Array:
    bins = [[slice(i * size // edge, math.ceil((i + 1) * size / edge)) for i in range(edge)] for size in maps.shape[1:]]
    return np.array([[[one[row, column].mean() for column in bins[1]] for row in bins[0]] for one in maps])


def spread(maps: Array, sizes: tuple[int, ...]) -> Array:
    """Linear interpolation, the corners of both maps on each other."""
    for axis, size in enumerate(sizes, start=1):
        old, slices = maps.shape[axis], []
        for place in range(size):
            source = place * (old - 1) / (size - 1) if size > 1 else 0.0
            low = min(int(source), old - 1)
            share, high = source - low, min(low + 1, old - 1)
            slices.append((1 - share) * maps.take(low, axis) + share * maps.take(high, axis))
        maps = np.stack(slices, axis)
    return maps


def naive_strip_pool(maps: Array, block: StripPool, pools: tuple[int, int]) -> Array:
    size = maps.shape[1:]
    square, strip = (np.maximum(normed(maps, layer[0]), 0) for layer in (block.conv1_1, block.conv1_2))
    squares = normed(square, block.conv2_0)
    for edge, layer in zip(pools, (block.conv2_1, block.conv2_2), strict=True):
        squares = squares + spread(normed(grid(square, edge), layer), size)
    strips = spread(normed(strip.mean(1, keepdims=True), block.conv2_3), size)
    strips = strips + spread(normed(strip.mean(2, keepdims=True), block.conv2_4), size)
    both = [
        np.maximum(normed(np.maximum(seen, 0), layer[0]), 0)
        for seen, layer in ((squares, block.conv2_5), (strips, block.conv2_6))
    ]
    return np.maximum(maps + normed(np.concatenate(both), block.conv3), 0)


@pytest.mark.parametrize(("size", "pools"), [((5, 7), (3, 2)), ((2, 3), (5, 4)), ((1, 1), (2, 1)), ((6, 4), (3, 4))])
def test_equations(size: tuple[int, int], pools: tuple[int, int]) -> None:
    block = StripPool(8, pools=pools).double().eval()
    fill(block)
    x = wave(2, 8, *size)
    expected = np.array([naive_strip_pool(sample, block, pools) for sample in array(x)])
    np.testing.assert_allclose(array(block(x)), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (12, 20), (13, 41), (64, 3)])
@pytest.mark.parametrize("edge", [1, 12, 20])
def test_grids_are_pytorchs_adaptive_pooling(size: tuple[int, int], edge: int) -> None:
    x = wave(2, 3, *size)
    torch.testing.assert_close(_grid(x, edge), F.adaptive_avg_pool2d(x, edge))


def test_grids_are_right_at_sizes_that_were_not_exported() -> None:
    block = registry.build("strip_pool", 8).eval()
    edges = dict.fromkeys((2, 3), torch.export.Dim.AUTO)
    program = torch.export.export(block, (torch.zeros(1, 8, 24, 20),), dynamic_shapes=(edges,)).module()
    for size in ((7, 50), (33, 12), (20, 20)):
        x = wave(1, 8, *size).float()
        torch.testing.assert_close(program(x), block(x))


def test_parameters() -> None:
    assert sum(weight.numel() for weight in registry.build("strip_pool", 64).parameters()) == 17568


@pytest.mark.parametrize(
    ("channels", "options", "text"),
    [
        (3, {}, "`strip_pool` cannot quarter 3 channels\nhint: it takes 4 channels or more"),
        (
            64,
            {"pools": (20, 0)},
            "`strip_pool` cannot pool to pools=(20, 0)\nhint: both grids have an edge of 1 or more",
        ),
    ],
)
def test_impossible_options_are_told(channels: int, options: dict[str, Any], text: str) -> None:
    with pytest.raises(AttnzooError) as caught:
        registry.build("strip_pool", channels, **options)
    assert str(caught.value) == text


def test_its_last_relu_passes_what_is_no_number_on() -> None:
    assert StripPool(8).eval()(torch.full((1, 8, 5, 5), torch.nan)).isnan().all()
