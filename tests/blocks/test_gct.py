"""GCT's equations, as loops."""

import math
from typing import Literal

import numpy as np
import pytest
import torch

from attnzoo import registry
from attnzoo.blocks.gct import GCT
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import array, positions


def naive_gct(maps: np.ndarray, block: GCT, mode: str) -> np.ndarray:
    """One sample, (C, *S)."""
    alpha, gamma, beta = (array(weight).ravel() for weight in (block.alpha, block.gamma, block.beta))
    channels, embedding = range(len(maps)), []
    for channel in channels:
        values = [maps[(channel, *at)] for at in positions(maps)]
        total = sum(abs(value) for value in values) if mode == "l1" else sum(value**2 for value in values)
        embedding.append(alpha[channel] * (total if mode == "l1" else math.sqrt(total + 1e-5)))
    if mode == "l1":
        magnitude = sum(abs(value) for value in embedding) / len(maps) + 1e-5
    else:
        magnitude = math.sqrt(sum(value**2 for value in embedding) / len(maps) + 1e-5)
    factors = [1 + math.tanh(gamma[c] * embedding[c] / magnitude + beta[c]) for c in channels]
    return np.stack([factors[channel] * maps[channel] for channel in channels])


@pytest.mark.parametrize("size", [(3, 4), (1, 1), (2, 3, 2)])
@pytest.mark.parametrize("mode", ["l2", "l1"])
def test_equations(size: tuple[int, ...], mode: Literal["l2", "l1"]) -> None:
    block = GCT(6, mode=mode, dims=2 if len(size) == 2 else 3).double()
    fill(block)
    x = wave(2, 6, *size)
    expected = np.array([naive_gct(sample, block, mode) for sample in array(x)])
    np.testing.assert_allclose(array(block(x)), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("mode", ["l2", "l1"])
def test_sums_over_large_maps_do_not_overflow(mode: Literal["l2", "l1"]) -> None:
    block = GCT(4, mode=mode).double()
    fill(block)
    x = (100 * wave(1, 4, 256, 256)).half()
    factors = block.weights(x.double())
    torch.testing.assert_close(block.half().weights(x).double(), factors, rtol=2e-3, atol=2e-3)


def test_starts_as_identity() -> None:
    x = wave(2, 32, 5, 7).float()
    assert torch.equal(registry.build("gct", 32)(x), x)


@pytest.mark.parametrize("dims", [2, 3])
def test_parameters(dims: Literal[2, 3]) -> None:
    assert sum(weight.numel() for weight in GCT(64, dims=dims).parameters()) == 192


def test_impossible_options_are_told() -> None:
    with pytest.raises(AttnzooError) as caught:
        registry.build("gct", 64, mode="l3")
    assert str(caught.value) == "`gct` cannot take mode=l3: possible is l2 or l1\nhint: did you mean `l2`?"
    assert "mode=l1" in repr(registry.build("gct", 64, mode="l1"))
