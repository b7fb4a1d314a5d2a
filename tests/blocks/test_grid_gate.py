"""The grid gate's equations, as loops."""

import numpy as np
import pytest
import torch

from attnzoo import registry
from attnzoo.blocks.grid_gate import GridGate
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import array, batch_norm, convolve, positions, resize, sigmoid


def naive_grid_gate(x: np.ndarray, gate: np.ndarray, block: GridGate) -> np.ndarray:
    """One sample, (C, *S) and (G, *T); an odd edge of the skip is padded at its end."""
    even = np.pad(x, [(0, 0), *((0, edge % 2) for edge in x.shape[1:])])
    theta = convolve(even, block.theta, stride=2)
    phi = resize(convolve(gate, block.phi), theta.shape[1:])
    psi = convolve(np.maximum(theta + phi, 0), block.psi)
    alpha = resize(np.vectorize(sigmoid)(psi), even.shape[1:])
    scaled = np.empty_like(x)
    for at in positions(x):
        scaled[(slice(None), *at)] = x[(slice(None), *at)] * alpha[(0, *at)]
    return batch_norm(convolve(scaled, block.W[0]), block.W[1])


@pytest.mark.parametrize(
    ("size", "other"),
    [
        ((4, 6), (2, 3)),
        ((5, 3), (3, 2)),
        ((4, 4), (1, 3)),
        ((1, 1), (1, 1)),
        ((2, 4, 2), (1, 2, 1)),
        ((3, 2, 5), (2, 1, 3)),
    ],
)
def test_equations(size: tuple[int, ...], other: tuple[int, ...]) -> None:
    block = GridGate(4, 3, dims=2 if len(size) == 2 else 3).double().eval()
    fill(block)
    x, gate = wave(2, 4, *size), wave(2, 3, *other, start=1.0)
    expected = [naive_grid_gate(*sample, block) for sample in zip(array(x), array(gate), strict=True)]
    np.testing.assert_allclose(array(block(x, gate)), np.array(expected), rtol=1e-10, atol=1e-12)


def test_its_map_is_between_0_and_1_at_the_skips_size() -> None:
    block = GridGate(4, 3).eval()
    weights = block.weights(torch.randn(2, 4, 7, 5), torch.randn(2, 3, 4, 3))
    assert weights.shape == (2, 1, 7, 5)
    assert 0 < weights.min() < weights.max() < 1


def test_parameters() -> None:
    block = registry.build("grid_gate", 64, gate_channels=128)
    assert sum(weight.numel() for weight in block.parameters()) == 16_641


def test_impossible_width_is_told() -> None:
    with pytest.raises(AttnzooError) as caught:
        registry.build("grid_gate", 64, gate_channels=64, inner=-1)
    assert str(caught.value) == "`grid_gate` cannot add at inner=-1 channels\nhint: `inner` is 1 or more"
