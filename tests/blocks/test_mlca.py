"""MLCA's equations, as loops."""

import math

import numpy as np
import pytest
import torch

from attnzoo import registry, spec
from attnzoo.blocks.mlca import MLCA
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import array, sigmoid


def resample(maps: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """Adaptive pooling of (C, *S): each cell is the mean of all positions that it touches."""
    result = np.zeros((len(maps), *sizes))
    for at in np.ndindex(*sizes):
        spans = (
            slice(cell * length // size, math.ceil((cell + 1) * length / size))
            for cell, size, length in zip(at, sizes, maps.shape[1:], strict=True)
        )
        result[(slice(None), *at)] = maps[(slice(None), *spans)].reshape(len(maps), -1).mean(1)
    return result


def convolve(values: list[float], kernel: np.ndarray) -> list[float]:
    padded = [0.0] * (len(kernel) // 2) + values + [0.0] * (len(kernel) // 2)
    return [float(np.dot(kernel, padded[start : start + len(kernel)])) for start in range(len(values))]


def naive_mlca(maps: np.ndarray, block: MLCA, patches: int, weight: float) -> np.ndarray:
    """One sample, (C, *S)."""
    channels, grid = len(maps), (patches,) * (maps.ndim - 1)
    local = resample(maps, grid)
    everywhere = convolve([float(one.mean()) for one in local], array(block.conv.weight).ravel())
    sequence = [local[(channel, *at)] for at in np.ndindex(*grid) for channel in range(channels)]
    there = iter(convolve(sequence, array(block.conv_local.weight).ravel()))
    mixed = np.zeros_like(local)
    for at in np.ndindex(*grid):
        for channel in range(channels):
            mixed[(channel, *at)] = weight * sigmoid(next(there)) + (1 - weight) * sigmoid(everywhere[channel])
    return maps * resample(mixed, maps.shape[1:])


@pytest.mark.parametrize("size", [(3, 4), (10, 5), (7, 11), (1, 1), (2, 3, 6)])
@pytest.mark.parametrize(("patches", "weight", "kernel"), [(5, 0.5, 3), (2, 0.2, 5), (1, 1.0, 1)])
def test_equations(size: tuple[int, ...], patches: int, weight: float, kernel: int) -> None:
    dims = 2 if len(size) == 2 else 3
    block = MLCA(6, local_size=patches, local_weight=weight, kernel=kernel, dims=dims).double()
    fill(block)
    x = wave(2, 6, *size)
    expected = np.array([naive_mlca(sample, block, patches, weight) for sample in array(x)])
    np.testing.assert_allclose(array(block(x)), expected, rtol=1e-10, atol=1e-12)


def test_pools_as_torch_does() -> None:
    block = MLCA(6).double()
    torch.nn.init.zeros_(block.conv.weight)
    torch.nn.init.constant_(block.conv_local.weight, 0.7)
    x = wave(2, 6, 13, 4)
    patches = torch.nn.functional.adaptive_avg_pool2d(x, 5)
    there = block.conv_local(patches.flatten(2).transpose(1, 2).reshape(2, 1, 150)).sigmoid()
    there = there.reshape(2, 25, 6).transpose(1, 2).reshape(2, 6, 5, 5)
    expected = torch.nn.functional.adaptive_avg_pool2d(0.5 * there + 0.25, (13, 4))
    torch.testing.assert_close(block.weights(x), expected)


@pytest.mark.parametrize(("channels", "kernel"), [(1, 1), (8, 3), (64, 3), (128, 5), (256, 5), (512, 5), (2048, 7)])
def test_auto_is_the_authors_rule(channels: int, kernel: int) -> None:
    block = registry.build("mlca", channels)
    assert sum(weight.numel() for weight in block.parameters()) == 2 * kernel
    steps = int(abs(math.log(channels, 2) + 1) / 2)
    assert kernel == (steps if steps % 2 else steps + 1)


def test_parameters() -> None:
    block = registry.build("mlca", 64)
    assert sum(weight.numel() for weight in block.parameters()) == 6
    assert "local_size=5, local_weight=0.5" in repr(block)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"local_size": 0}, "`mlca` cannot pool to local_size=0\nhint: `local_size` is 1 or more"),
        ({"local_weight": 1.5}, "`mlca` cannot mix with local_weight=1.5\nhint: `local_weight` is 0 to 1"),
        ({"kernel": 4}, "`mlca` cannot centre kernel=4\nhint: a kernel is odd, such as 3 or 5, or `auto`"),
    ],
)
def test_impossible_options_are_told(options: dict[str, spec.Value], text: str) -> None:
    with pytest.raises(AttnzooError) as caught:
        registry.build("mlca", 64, **options)
    assert str(caught.value) == text
