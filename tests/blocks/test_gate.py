"""The gate's equations, as loops."""

import numpy as np
import pytest

from attnzoo import registry
from attnzoo.blocks.gate import Gate
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import array, batch_norm, convolve, positions, resize, sigmoid


def naive_gate(x: np.ndarray, gate: np.ndarray, block: Gate) -> np.ndarray:
    """One sample, (C, *S) and (G, *T)."""
    decoder = batch_norm(convolve(resize(gate, x.shape[1:]), block.phi[0]), block.phi[1])
    skip = batch_norm(convolve(x, block.theta[0]), block.theta[1])
    alpha = batch_norm(convolve(np.maximum(decoder + skip, 0), block.psi[0]), block.psi[1])
    result = np.empty_like(x)
    for at in positions(x):
        result[(slice(None), *at)] = x[(slice(None), *at)] * sigmoid(alpha[(0, *at)])
    return result


@pytest.mark.parametrize(
    ("size", "other"),
    [
        ((3, 4), (3, 4)),
        ((5, 3), (2, 2)),
        ((3, 3), (7, 5)),
        ((2, 2), (1, 1)),
        ((2, 3, 2), (2, 3, 2)),
        ((3, 2, 5), (2, 1, 3)),
    ],
)
def test_equations(size: tuple[int, ...], other: tuple[int, ...]) -> None:
    block = Gate(4, 3, dims=2 if len(size) == 2 else 3).double().eval()
    fill(block)
    x, gate = wave(2, 4, *size), wave(2, 3, *other, start=1.0)
    expected = [naive_gate(*sample, block) for sample in zip(array(x), array(gate), strict=True)]
    np.testing.assert_allclose(array(block(x, gate)), np.array(expected), rtol=1e-10, atol=1e-12)


def test_parameters_and_inner_width() -> None:
    def count(**options: int) -> int:
        block = registry.build("gate", 64, gate_channels=64, **options)
        return sum(weight.numel() for weight in block.parameters())

    assert count() == count(inner=32) == 4323 == 64**2 + 7 * 64 // 2 + 3
    assert count(inner=1) == 2 * 65 + 2 * 2 + 2 + 2
    assert registry.build("gate", 1, gate_channels=1).psi[0].in_channels == 1


def test_impossible_width_is_told() -> None:
    with pytest.raises(AttnzooError) as caught:
        registry.build("gate", 64, gate_channels=64, inner=0)
    assert str(caught.value) == "`gate` cannot add at inner=0 channels\nhint: `inner` is 1 or more"
