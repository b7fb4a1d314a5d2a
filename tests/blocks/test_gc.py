"""GC's equations, as loops; and timm's twin with our weights."""

import math

import numpy as np
import pytest
import torch
from timm.layers import GlobalContext as Twin

from attnzoo import registry
from attnzoo.blocks.gc import GlobalContext
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import array, positions, softmax


def naive_gc(maps: np.ndarray, block: GlobalContext) -> np.ndarray:
    """One sample, (C, *S)."""
    inward, norm, _, outward = block.channel_add_conv
    mask, places = array(block.conv_mask.weight).ravel(), list(positions(maps))
    alpha = softmax([array(block.conv_mask.bias)[0] + np.dot(mask, maps[(slice(None), *at)]) for at in places])
    context = sum(weight * maps[(slice(None), *at)] for weight, at in zip(alpha, places, strict=True))
    inner = [array(inward.bias)[i] + np.dot(row, context) for i, row in enumerate(array(inward.weight))]
    mean, deviation = np.mean(inner), math.sqrt(np.var(inner) + norm.eps)
    hidden = [
        max((value - mean) / deviation * scale + shift, 0.0)
        for value, scale, shift in zip(inner, array(norm.weight), array(norm.bias), strict=True)
    ]
    result = maps.copy()
    for channel, row in enumerate(array(outward.weight)):
        result[channel] += array(outward.bias)[channel] + np.dot(row, hidden)
    return result


@pytest.mark.parametrize("size", [(3, 4), (1, 1), (2, 3, 2)])
def test_equations(size: tuple[int, ...]) -> None:
    block = GlobalContext(6, reduction=2, dims=2 if len(size) == 2 else 3).double()
    fill(block)
    x = wave(2, 6, *size)
    expected = np.array([naive_gc(sample, block) for sample in array(x)])
    np.testing.assert_allclose(array(block(x)), expected, rtol=1e-10, atol=1e-12)


def test_agrees_with_timm() -> None:
    """Asked to add and not to multiply; its layer norm has another epsilon."""
    block = GlobalContext(64).double()
    twin = Twin(64, fuse_add=True, fuse_scale=False, rd_ratio=1 / 16).double()
    twin.mlp_add.norm.eps = 1e-5
    fill(block)
    pairs = zip(twin.state_dict().items(), block.state_dict().values(), strict=True)
    twin.load_state_dict({key: ours.reshape(theirs.shape) for (key, theirs), ours in pairs})
    x = wave(2, 64, 5, 7)
    torch.testing.assert_close(block(x), twin(x))


def test_starts_as_identity() -> None:
    x = wave(2, 32, 5, 7).float()
    block = registry.build("gc", 32)
    assert torch.equal(block(x), x)
    assert not block.conv_mask.bias.any()


@pytest.mark.parametrize(("reduction", "count"), [(16, 653), (8, 1177)])
def test_parameters(reduction: int, count: int) -> None:
    assert sum(weight.numel() for weight in GlobalContext(64, reduction=reduction).parameters()) == count


def test_impossible_options_are_told() -> None:
    with pytest.raises(AttnzooError) as caught:
        registry.build("gc", 8)
    assert str(caught.value) == (
        "`gc` cannot reduce 8 channels by reduction=16\nhint: with 8 channels, reduction is 1 to 8"
    )
