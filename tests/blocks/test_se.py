"""SE's equations, as loops; and timm's twin with our weights."""

import numpy as np
import pytest
import torch
from timm.layers import SqueezeExcite

from attnzoo import registry
from attnzoo.blocks.se import SE
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import array, sigmoid


@pytest.mark.parametrize("size", [(3, 4), (1, 1), (2, 3, 2)])
def test_equations(size: tuple[int, ...]) -> None:
    block = SE(6, reduction=3, dims=2 if len(size) == 2 else 3).double()
    fill(block)
    x = wave(2, 6, *size)
    inward, outward = array(block.squeeze.weight).reshape(2, 6), array(block.excite.weight).reshape(6, 2)
    expected = np.empty(x.shape)
    for sample, maps in enumerate(array(x)):
        means = [channel.mean() for channel in maps]
        inner = [max(0, b + np.dot(row, means)) for row, b in zip(inward, array(block.squeeze.bias), strict=True)]
        for channel in range(6):
            factor = sigmoid(array(block.excite.bias)[channel] + np.dot(outward[channel], inner))
            expected[sample, channel] = maps[channel] * factor
    np.testing.assert_allclose(array(block(x)), expected, rtol=1e-10, atol=1e-12)


def test_agrees_with_timm() -> None:
    block, twin = SE(64).double(), SqueezeExcite(64, rd_channels=4).double()
    fill(block)
    for theirs, ours in zip(twin.parameters(), block.parameters(), strict=True):
        theirs.data.copy_(ours.data)
    x = wave(2, 64, 5, 7)
    torch.testing.assert_close(block(x), twin(x))


@pytest.mark.parametrize(("channels", "options", "count"), [(64, {}, 580), (64, {"reduction": 8}, 1096), (48, {}, 339)])
def test_parameters(channels: int, options: dict[str, int], count: int) -> None:
    assert sum(weight.numel() for weight in registry.build("se", channels, **options).parameters()) == count


def test_impossible_reduction_is_told() -> None:
    with pytest.raises(AttnzooError) as caught:
        registry.build("se", 8)
    assert str(caught.value) == (
        "`se` cannot reduce 8 channels by reduction=16\nhint: with 8 channels, reduction is 1 to 8"
    )
