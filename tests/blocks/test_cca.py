"""Channel-wise cross-attention's equations, as loops."""

from typing import Any

import numpy as np
import pytest

from attnzoo import registry
from attnzoo.blocks.cca import CCA
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import Array, array, sigmoid


def naive_cca(x: Array, gate: Array, block: CCA, variant: str) -> Array:
    """One sample, (C, *S) and (G, *T)."""
    result = np.empty_like(x)
    for channel in range(len(x)):
        total = 0.0
        for maps, layer in ((x, block.L1), (gate, block.L2)):
            row = array(layer.weight)[channel]
            total += array(layer.bias)[channel] + sum(w * one.mean() for w, one in zip(row, maps, strict=True))
        scaled = x[channel] * sigmoid(total / 2 if variant == "authors" else total)
        result[channel] = np.maximum(scaled, 0) if variant == "authors" else scaled
    return result


@pytest.mark.parametrize("variant", ["authors", "paper"])
@pytest.mark.parametrize(
    ("size", "other"), [((3, 4), (3, 4)), ((5, 3), (2, 2)), ((1, 1), (4, 1)), ((2, 3, 2), (1, 2, 2))]
)
def test_equations(size: tuple[int, ...], other: tuple[int, ...], variant: Any) -> None:
    block = CCA(4, 3, variant=variant, dims=2 if len(size) == 2 else 3).double()
    fill(block)
    x, gate = wave(2, 4, *size), 3 * wave(2, 3, *other, start=1.0)
    expected = [naive_cca(*sample, block, variant) for sample in zip(array(x), array(gate), strict=True)]
    np.testing.assert_allclose(array(block(x, gate)), np.array(expected), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("gate_channels", "count"), [(64, 8320), (128, 64**2 + 128 * 64 + 2 * 64)])
def test_parameters(gate_channels: int, count: int) -> None:
    block = registry.build("cca", 64, gate_channels=gate_channels)
    assert sum(weight.numel() for weight in block.parameters()) == count


def test_a_typo_is_told() -> None:
    with pytest.raises(AttnzooError) as caught:
        registry.build("cca", 64, gate_channels=64, variant="code")
    assert caught.value.message == "`cca` cannot take variant=code: possible is authors or paper"
