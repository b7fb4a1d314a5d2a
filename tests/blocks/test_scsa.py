"""SCSA's equations, as loops."""

import math
from typing import Literal

import numpy as np
import pytest
import torch

from attnzoo import registry
from attnzoo.blocks.scsa import SCSA
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import array, positions, sigmoid, softmax


def group_norm(maps: np.ndarray, norm: torch.nn.GroupNorm) -> np.ndarray:
    result = maps.copy()
    for group in np.split(np.arange(len(maps)), norm.num_groups):
        normed = (maps[group] - maps[group].mean()) / math.sqrt(maps[group].var() + norm.eps)
        for channel, one in zip(group, normed, strict=True):
            result[channel] = one * array(norm.weight)[channel] + array(norm.bias)[channel]
    return result


def strip_factors(strip: np.ndarray, block: SCSA, norm: torch.nn.GroupNorm) -> np.ndarray:
    """Of one axis, (C, L)."""
    seen, quarter = np.zeros_like(strip), len(strip) // 4
    for channel, place in np.ndindex(*strip.shape):
        layer, own = block.dwc[channel // quarter], channel % quarter
        kernel = array(layer.weight)[own, 0]
        total = array(layer.bias)[own]
        for step, weight in enumerate(kernel):
            source = place + step - len(kernel) // 2
            total += weight * strip[channel, source] if 0 <= source < strip.shape[1] else 0
        seen[channel, place] = total
    return np.vectorize(sigmoid)(group_norm(seen, norm))


def windows(maps: np.ndarray, window: int) -> np.ndarray:
    counts = [max(size // window, 1) for size in maps.shape[1:]]
    result = np.zeros((len(maps), *counts))
    for at in np.ndindex(*counts):
        spans = (slice(place * window, (place + 1) * window) for place in at)
        result[(slice(None), *at)] = maps[(slice(None), *spans)].reshape(len(maps), -1).mean(1)
    return result


def naive_scsa(maps: np.ndarray, block: SCSA, heads: int, window: int) -> np.ndarray:
    """One sample, (C, *S)."""
    axes, scaled = range(1, maps.ndim), maps.copy()
    for axis, norm in zip(axes, block.norms, strict=True):
        factors = strip_factors(maps.mean(tuple(other for other in axes if other != axis)), block, norm)
        for at in positions(maps):
            scaled[(slice(None), *at)] *= factors[:, at[axis - 1]]
    normed = group_norm(windows(scaled, window), block.norm).reshape(len(maps), -1)
    q, k, v = (array(layer.weight).reshape(-1, 1) * normed for layer in (block.q, block.k, block.v))
    result, width = scaled.copy(), len(maps) // heads
    for channel in range(len(maps)):
        head = range(channel // width * width, channel // width * width + width)
        shares = softmax([np.dot(q[channel], k[other]) / math.sqrt(width) for other in head])
        seen = sum(share * v[other] for share, other in zip(shares, head, strict=True))
        result[channel] = sigmoid(np.mean(seen)) * scaled[channel]
    return result


@pytest.mark.parametrize(
    ("size", "heads", "window"),
    [((3, 4), 2, 7), ((8, 5), 4, 2), ((15, 7), 1, 7), ((1, 1), 2, 7), ((2, 3, 5), 2, 2), ((1, 9, 3), 8, 4)],
)
def test_equations(size: tuple[int, ...], heads: int, window: int) -> None:
    block = SCSA(8, heads=heads, window=window, dims=2 if len(size) == 2 else 3).double()
    fill(block)
    x = wave(2, 8, *size)
    expected = np.array([naive_scsa(sample, block, heads, window) for sample in array(x)])
    np.testing.assert_allclose(array(block(x)), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("dims", "count"), [(2, 1024), (3, 1152)])
def test_parameters(dims: Literal[2, 3], count: int) -> None:
    assert sum(weight.numel() for weight in SCSA(64, dims=dims).parameters()) == count


def test_a_norm_of_one_value_is_its_bias() -> None:
    block = registry.build("scsa", 4, heads=1).train()
    assert block(torch.randn(1, 4, 1, 1)).isfinite().all()


@pytest.mark.parametrize(
    ("channels", "options", "text"),
    [
        (6, {}, "`scsa` cannot quarter 6 channels\nhint: channels are a multiple of 4"),
        (12, {}, "`scsa` cannot split 12 channels into heads=8\nhint: 12 divides into 1, 2, 3, 4, 6, 12 heads"),
        (64, {"window": 0}, "`scsa` cannot pool with window=0\nhint: `window` is 1 or more"),
    ],
)
def test_impossible_options_are_told(channels: int, options: dict[str, int], text: str) -> None:
    with pytest.raises(AttnzooError) as caught:
        registry.build("scsa", channels, **options)
    assert str(caught.value) == text
