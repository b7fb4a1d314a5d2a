"""ELA's equations, as loops."""

import math
from typing import Literal

import numpy as np
import pytest
import torch

from attnzoo import registry
from attnzoo.blocks.ela import ELA
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import array, positions, sigmoid


def convolve(strip: np.ndarray, layer: torch.nn.Conv1d) -> np.ndarray:
    """A grouped convolution of (C, L), padded with zeros to the same length."""
    weight, pad = array(layer.weight), layer.kernel_size[0] // 2
    width = weight.shape[1]
    result = np.zeros_like(strip)
    for channel, place in np.ndindex(*strip.shape):
        first = channel // width * width
        for into, step in np.ndindex(*weight.shape[1:]):
            if 0 <= place + step - pad < strip.shape[1]:
                result[channel, place] += weight[channel, into, step] * strip[first + into, place + step - pad]
    return result


def group_norm(strip: np.ndarray, norm: torch.nn.GroupNorm) -> np.ndarray:
    normed = [(part - part.mean()) / math.sqrt(part.var() + norm.eps) for part in np.split(strip, norm.num_groups)]
    return np.concatenate(normed) * array(norm.weight)[:, None] + array(norm.bias)[:, None]


def naive_ela(maps: np.ndarray, block: ELA) -> np.ndarray:
    """One sample, (C, *S)."""
    axes, factors = range(1, maps.ndim), []
    for axis in axes:
        strip = maps.mean(tuple(other for other in axes if other != axis))
        factors.append(np.vectorize(sigmoid)(group_norm(convolve(strip, block.conv), block.gn)))
    result = maps.copy()
    for at in positions(maps):
        for channel in range(len(maps)):
            result[(channel, *at)] *= math.prod(
                factor[channel, place] for factor, place in zip(factors, at, strict=True)
            )
    return result


@pytest.mark.parametrize("size", [(3, 9), (1, 1), (2, 3, 8)])
@pytest.mark.parametrize("variant", ["tiny", "base", "small", "large"])
def test_equations(size: tuple[int, ...], variant: Literal["tiny", "base", "small", "large"]) -> None:
    channels = 32 if variant == "tiny" else 16
    block = ELA(channels, variant=variant, dims=2 if len(size) == 2 else 3).double()
    fill(block)
    x = wave(2, channels, *size)
    expected = np.array([naive_ela(sample, block) for sample in array(x)])
    np.testing.assert_allclose(array(block(x)), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("variant", "count"),
    [("tiny", 5 * 64 + 128), ("base", 7 * 64 + 128), ("small", 5 * 8 * 64 + 128), ("large", 7 * 8 * 64 + 128)],
)
def test_parameters(variant: str, count: int) -> None:
    assert sum(weight.numel() for weight in registry.build("ela", 64, variant=variant).parameters()) == count


def test_groups_of_one_value_train() -> None:
    # nn.GroupNorm refuses a single value a group; the equations do not: the norm is its bias there
    block = registry.build("ela", 16).train()
    assert block(torch.randn(1, 16, 1, 1)).isfinite().all()


def test_impossible_options_are_told() -> None:
    with pytest.raises(AttnzooError) as caught:
        registry.build("ela", 24)
    assert str(caught.value) == (
        "`ela` cannot normalise 24 channels in the 16 groups of variant=base\n"
        "hint: with variant=base, channels are a multiple of 16"
    )
