"""Coordinate attention's equations, as loops; and timm's twin with our weights."""

import numpy as np
import pytest
import torch
from timm.layers.coord_attn import CoordAttn

from attnzoo import registry
from attnzoo.blocks.coord import CoordinateAttention
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import Array, array, batch_norm, convolve, positions, sigmoid


def naive_coord(maps: Array, block: CoordinateAttention) -> Array:
    """One sample, (C, *S)."""
    result = maps.copy()
    for axis, conv in enumerate(block.along):
        strip = np.zeros((len(maps), maps.shape[1 + axis]))
        for channel in range(len(maps)):
            for place in range(strip.shape[1]):
                strip[channel, place] = np.mean([maps[(channel, *at)] for at in positions(maps) if at[axis] == place])
        line = strip.reshape(*strip.shape, *[1] * (maps.ndim - 2))
        inner = batch_norm(convolve(line, block.conv1), block.bn1)
        inner = inner * np.minimum(np.maximum(inner + 3, 0), 6) / 6
        factors = convolve(inner, conv).reshape(strip.shape)
        for channel in range(len(maps)):
            for at in positions(maps):
                result[(channel, *at)] *= sigmoid(factors[channel, at[axis]])
    return result


@pytest.mark.parametrize("size", [(3, 4), (5, 2), (1, 1), (2, 3, 4)])
def test_equations(size: tuple[int, ...]) -> None:
    block = CoordinateAttention(6, dims=2 if len(size) == 2 else 3).double().eval()
    fill(block)
    x = 9 * wave(2, 6, *size)
    expected = np.array([naive_coord(sample, block) for sample in array(x)])
    np.testing.assert_allclose(array(block(x)), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("training", [False, True])
def test_agrees_with_timm(training: bool) -> None:
    """In training too, where both strips are normalised together."""
    block = CoordinateAttention(64).double()
    twin = CoordAttn(64, rd_channels=8, bias=True).double()
    fill(block)
    assert list(twin.state_dict())[-4:] == ["conv_h.weight", "conv_h.bias", "conv_w.weight", "conv_w.bias"]
    state = zip(twin.state_dict().items(), block.state_dict().values(), strict=True)
    twin.load_state_dict({key: ours.reshape(theirs.shape) for (key, theirs), ours in state})
    x = wave(2, 64, 5, 7)
    torch.testing.assert_close(block.train(training)(x), twin.train(training)(x))
    torch.testing.assert_close(block.bn1.running_var, twin.bn1.running_var)


@pytest.mark.parametrize(
    ("channels", "options", "inner", "count"),
    [(64, {}, 8, 1688), (64, {"reduction": 4}, 16, 3248), (512, {}, 16, 25648), (64, {"dims": 3}, 8, 2264)],
)
def test_parameters(channels: int, options: dict[str, int], inner: int, count: int) -> None:
    block = registry.build("coord", channels, **options)
    assert block.conv1.out_channels == inner
    assert sum(weight.numel() for weight in block.parameters()) == count


def test_impossible_reduction_is_told() -> None:
    with pytest.raises(AttnzooError) as caught:
        registry.build("coord", 64, reduction=0)
    assert str(caught.value) == (
        "`coord` cannot reduce 64 channels by reduction=0\n"
        "hint: `reduction` is 1 or more; the bottleneck is at least 8 wide"
    )
