"""FCA's equations, as loops."""

import math

import numpy as np
import pytest
import torch

from attnzoo import registry
from attnzoo.blocks.fca import FCA
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import array, sigmoid

BEST = [(0, 0), (0, 1), (6, 0), (0, 5)]


def pooled(maps: np.ndarray, grid: int) -> np.ndarray:
    """Adaptive pooling of (C, H, W): each cell is the mean of all positions that it touches."""
    result = np.zeros((len(maps), grid, grid))
    for row, column in np.ndindex(grid, grid):
        spans = [
            slice(cell * length // grid, math.ceil((cell + 1) * length / grid))
            for cell, length in zip((row, column), maps.shape[1:], strict=True)
        ]
        result[:, row, column] = maps[:, spans[0], spans[1]].mean((1, 2))
    return result


def cosine(frequency: int, place: int, grid: int) -> float:
    height = math.sqrt((2 if frequency else 1) / grid)
    return height * math.cos(math.pi * frequency * (place + 0.5) / grid)


def naive_fca(maps: np.ndarray, block: FCA, frequencies: int, grid: int) -> np.ndarray:
    """One sample, (C, H, W)."""
    cells, heard = pooled(maps, grid), []
    for channel in range(len(maps)):
        u, v = (part * (grid // 7) for part in BEST[channel // (len(maps) // frequencies)])
        heard.append(
            sum(
                cells[channel, row, column] * cosine(u, row, grid) * cosine(v, column, grid)
                for row, column in np.ndindex(grid, grid)
            )
        )
    inner = np.maximum(array(block.fc[0].weight) @ np.array(heard), 0)
    factors = [sigmoid(value) for value in array(block.fc[2].weight) @ inner]
    return np.stack([factor * one for factor, one in zip(factors, maps, strict=True)])


@pytest.mark.parametrize("size", [(3, 4), (7, 7), (10, 15), (1, 1)])
@pytest.mark.parametrize(("frequencies", "grid"), [(4, 7), (2, 7), (4, 14), (1, 9)])
def test_equations(size: tuple[int, ...], frequencies: int, grid: int) -> None:
    block = FCA(8, frequencies=frequencies, grid=grid, reduction=2).double()
    fill(block)
    x = wave(2, 8, *size)
    expected = np.array([naive_fca(sample, block, frequencies, grid) for sample in array(x)])
    np.testing.assert_allclose(array(block(x)), expected, rtol=1e-10, atol=1e-12)


def test_with_one_frequency_it_is_squeeze_and_excitation() -> None:
    block = FCA(8, frequencies=1, reduction=2).double()
    fill(block)
    x = wave(2, 8, 14, 21)
    factors = block.fc(7 * x.mean((2, 3)))
    torch.testing.assert_close(block(x), x * factors[:, :, None, None])


@pytest.mark.parametrize("frequencies", [1, 2, 4, 8, 16, 32])
def test_basis_functions_are_orthonormal(frequencies: int) -> None:
    block = FCA(frequencies, frequencies=frequencies, reduction=1)
    x = torch.zeros(1, 1, 7, 7, dtype=torch.float64)
    rows, columns = block._filters(block.vertical, x, 2), block._filters(block.horizontal, x, 3)
    basis = (rows[:, :, None] * columns[:, None]).flatten(1)
    torch.testing.assert_close(basis @ basis.T, torch.eye(frequencies, dtype=torch.float64))


def test_parameters() -> None:
    block = FCA(64)
    assert sum(weight.numel() for weight in block.parameters()) == 512
    assert list(block.state_dict()) == ["fc.0.weight", "fc.2.weight"]


@pytest.mark.parametrize(
    ("channels", "options", "text"),
    [
        (
            24,
            {},
            "`fca` cannot share 16 frequencies among 24 channels\n"
            "hint: `frequencies` is 1, 2, 4, 8, 16 or 32, and divides the channels",
        ),
        (64, {"grid": 6}, "`fca` cannot fit its frequencies on grid=6\nhint: `grid` is 7 or more"),
        (
            64,
            {"reduction": 65},
            "`fca` cannot reduce 64 channels by reduction=65\nhint: with 64 channels, reduction is 1 to 64",
        ),
    ],
)
def test_impossible_options_are_told(channels: int, options: dict[str, int], text: str) -> None:
    with pytest.raises(AttnzooError) as caught:
        registry.build("fca", channels, **options)
    assert str(caught.value) == text
