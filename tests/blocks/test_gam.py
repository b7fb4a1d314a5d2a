"""GAM's equations, as loops."""

from typing import Literal

import numpy as np
import pytest
import torch

from attnzoo import registry
from attnzoo.blocks.gam import GAM
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import array, batch_norm, convolve, positions, sigmoid


def naive_gam(maps: np.ndarray, block: GAM) -> np.ndarray:
    """One sample, (C, *S): F2 = M_c(F1) · F1, F3 = M_s(F2) · F2."""
    inward, outward = block.channel_attention[0], block.channel_attention[2]
    weights = [array(layer.weight).reshape(layer.weight.shape[:2]) for layer in (inward, outward)]
    scaled = np.empty_like(maps)
    for at in positions(maps):
        vector = maps[(slice(None), *at)]
        inner = np.maximum(weights[0] @ vector + array(inward.bias), 0)
        scaled[(slice(None), *at)] = vector * np.vectorize(sigmoid)(weights[1] @ inner + array(outward.bias))
    first, norm, _, second, last, _ = block.spatial_attention
    hidden = np.maximum(batch_norm(convolve(scaled, first), norm), 0)
    return scaled * np.vectorize(sigmoid)(batch_norm(convolve(hidden, second), last))


@pytest.mark.parametrize(("size", "kernel"), [((3, 4), 7), ((4, 3), 3), ((1, 1), 7), ((2, 3, 2), 3)])
def test_equations(size: tuple[int, ...], kernel: int) -> None:
    block = GAM(4, reduction=2, kernel=kernel, dims=2 if len(size) == 2 else 3).double().eval()
    fill(block)
    x = wave(2, 4, *size)
    expected = np.array([naive_gam(sample, block) for sample in array(x)])
    np.testing.assert_allclose(array(block(x)), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dims", [2, 3])
def test_parameters(dims: Literal[2, 3]) -> None:
    count = sum(weight.numel() for weight in GAM(64, dims=dims).parameters())
    assert count == 2 * 64 * 16 * (1 + 7**dims) + 2 * (16 + 64) + 2 * (16 + 64)


def test_one_value_a_channel_trains() -> None:
    block = registry.build("gam", 8).train()
    assert block(torch.randn(1, 8, 1, 1)).isfinite().all()
    assert all(buffer.isfinite().all() for buffer in block.buffers())


@pytest.mark.parametrize(
    ("channels", "options", "text"),
    [
        (3, {}, "`gam` cannot reduce 3 channels by reduction=4\nhint: with 3 channels, reduction is 1 to 3"),
        (64, {"kernel": 4}, "`gam` cannot centre kernel=4\nhint: a kernel is odd, such as 3 or 7"),
    ],
)
def test_impossible_options_are_told(channels: int, options: dict[str, int], text: str) -> None:
    with pytest.raises(AttnzooError) as caught:
        registry.build("gam", channels, **options)
    assert str(caught.value) == text
