"""CBAM's equations, as loops; and timm's twin with our weights."""

import numpy as np
import pytest
import torch
from timm.layers.cbam import CbamModule

from attnzoo import registry
from attnzoo.blocks.cbam import CBAM
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import array, batch_norm, convolve, positions, sigmoid


def naive_cbam(maps: np.ndarray, block: CBAM) -> np.ndarray:
    """One sample, (C, *S)."""
    inward, outward = (array(block.channel[layer].weight).squeeze() for layer in (0, 2))
    scaled = np.empty_like(maps)
    for channel in range(len(maps)):
        total = 0.0
        for pool in (np.mean, np.max):
            pooled = [pool(one) for one in maps]
            inner = np.maximum(array(block.channel[0].bias) + [np.dot(row, pooled) for row in inward], 0)
            total += array(block.channel[2].bias)[channel] + np.dot(outward[channel], inner)
        scaled[channel] = maps[channel] * sigmoid(total)
    pooled = np.zeros((2, *maps.shape[1:]))
    for at in positions(maps):
        pooled[(0, *at)] = max(scaled[(slice(None), *at)])
        pooled[(1, *at)] = sum(scaled[(slice(None), *at)]) / len(scaled)
    seen = batch_norm(convolve(pooled, block.spatial[0]), block.spatial[1])[0]
    return scaled * np.vectorize(sigmoid)(seen)


@pytest.mark.parametrize(("size", "kernel"), [((3, 4), 7), ((5, 4), 3), ((1, 1), 7), ((2, 3, 2), 3)])
def test_equations(size: tuple[int, ...], kernel: int) -> None:
    block = CBAM(6, reduction=3, kernel=kernel, dims=2 if len(size) == 2 else 3).double().eval()
    fill(block)
    x = wave(2, 6, *size)
    expected = np.array([naive_cbam(sample, block) for sample in array(x)])
    np.testing.assert_allclose(array(block(x)), expected, rtol=1e-10, atol=1e-12)


def test_agrees_with_timm() -> None:
    """timm's order of mean and maximum is the other one, so the convolution's inputs change places."""
    block, twin = CBAM(64).double().eval(), CbamModule(64, mlp_bias=True).double().eval()
    fill(block)
    ours = list(block.state_dict().values())
    ours[4] = ours[4].flip(1)
    twin.load_state_dict(dict(zip(twin.state_dict(), ours, strict=True)))
    x = wave(2, 64, 5, 7)
    torch.testing.assert_close(block(x), twin(x))


@pytest.mark.parametrize(("options", "count"), [({}, 680), ({"kernel": 3}, 600), ({"reduction": 8}, 1196)])
def test_parameters(options: dict[str, int], count: int) -> None:
    assert sum(weight.numel() for weight in registry.build("cbam", 64, **options).parameters()) == count


@pytest.mark.parametrize(
    ("channels", "options", "text"),
    [
        (8, {}, "`cbam` cannot reduce 8 channels by reduction=16\nhint: with 8 channels, reduction is 1 to 8"),
        (64, {"kernel": 4}, "`cbam` cannot centre kernel=4\nhint: a kernel is odd, such as 3 or 7"),
    ],
)
def test_impossible_options_are_told(channels: int, options: dict[str, int], text: str) -> None:
    with pytest.raises(AttnzooError) as caught:
        registry.build("cbam", channels, **options)
    assert str(caught.value) == text
