"""EMA's equations, as loops."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from attnzoo import registry
from attnzoo.blocks.ema import EMA
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import array, convolve, positions, sigmoid, softmax


def naive_group(maps: np.ndarray, block: EMA) -> np.ndarray:
    """One group of one sample, (c, *S)."""
    width, axes = len(maps), range(maps.ndim - 1)
    mix, shift = array(block.conv1x1.weight).reshape(width, width), array(block.conv1x1.bias)
    gated = np.zeros_like(maps)
    for channel in range(width):
        for at in positions(maps):
            value = maps[(channel, *at)]
            for axis in axes:
                means = [np.mean([maps[(c, *p)] for p in positions(maps) if p[axis] == at[axis]]) for c in range(width)]
                value *= sigmoid(shift[channel] + sum(mix[channel, c] * means[c] for c in range(width)))
            gated[(channel, *at)] = value
    strips = np.empty_like(maps)
    for channel in range(width):
        normed = (gated[channel] - gated[channel].mean()) / math.sqrt(gated[channel].var() + block.gn.eps)
        strips[channel] = normed * array(block.gn.weight)[channel] + array(block.gn.bias)[channel]
    neighbours = convolve(maps, block.conv3x3)
    by_strips = softmax([strips[channel].mean() for channel in range(width)])
    by_neighbours = softmax([neighbours[channel].mean() for channel in range(width)])
    result = np.empty_like(maps)
    for at in positions(maps):
        factor = sum(by_strips[c] * neighbours[(c, *at)] + by_neighbours[c] * strips[(c, *at)] for c in range(width))
        result[(slice(None), *at)] = maps[(slice(None), *at)] * sigmoid(factor)
    return result


@pytest.mark.parametrize("size", [(3, 4), (1, 1), (2, 3, 2)])
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_equations(size: tuple[int, ...], groups: int) -> None:
    block = EMA(6, groups=groups, dims=2 if len(size) == 2 else 3).double()
    fill(block)
    x = wave(2, 6, *size)
    expected = [[naive_group(group, block) for group in np.split(sample, groups)] for sample in array(x)]
    np.testing.assert_allclose(array(block(x)), np.array(expected).reshape(x.shape), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("channels", "groups"), [(64, 32), (64, 8), (128, 32), (512, 32), (48, 48)])
def test_parameters(channels: int, groups: int) -> None:
    width = channels // groups
    for dims, kernel in ((2, 9), (3, 27)):
        count = sum(weight.numel() for weight in EMA(channels, groups=groups, dims=dims).parameters())
        assert count == (1 + kernel) * width**2 + 4 * width


@pytest.mark.parametrize(("channels", "taken"), [(64, 32), (48, 24), (30, 30), (7, 7), (1, 1), (37, 1), (1000, 25)])
def test_auto_takes_the_largest_divisor_up_to_32(channels: int, taken: int) -> None:
    block = registry.build("ema", channels, groups="auto")
    assert block.groups == taken
    assert f"groups={taken}" in repr(block)


def test_impossible_groups_are_told_with_the_divisors() -> None:
    with pytest.raises(AttnzooError) as caught:
        registry.build("ema", 48)
    assert str(caught.value) == (
        "`ema` cannot split 48 channels into groups=32\n"
        "hint: 48 divides into 1, 2, 3, 4, 6, 8, 12, 16, 24 or 48 groups, and `groups=auto` takes the largest up to 32"
    )


@pytest.mark.parametrize("groups", [0, -4, 7, 128])
def test_impossible_groups_are_refused_in_the_bare_constructor_too(groups: int) -> None:
    with pytest.raises(AttnzooError) as caught:
        EMA(64, groups=groups)
    assert caught.value.message == f"`ema` cannot split 64 channels into groups={groups}"


@pytest.mark.parametrize("groups", [8.0, True, None, "8", "Auto"])
def test_what_is_no_number_of_groups_is_told_what_may_be_said(groups: Any) -> None:
    with pytest.raises(AttnzooError) as caught:
        EMA(64, groups=groups)
    said = repr(groups) if groups != "Auto" else groups
    assert caught.value.message == f"`ema` cannot take groups={said}: possible is int or auto"
    assert caught.value.hint == ("did you mean `auto`?" if groups == "Auto" else "the default is `groups=32`")


def test_one_channel_a_group_has_constant_softmaxes() -> None:
    block = EMA(4, groups=4).double()
    fill(block)
    x = wave(1, 4, 5, 5)
    maps = x.reshape(4, 1, 5, 5)
    rows, columns = block.conv1x1(maps.mean(3, keepdim=True)), block.conv1x1(maps.mean(2, keepdim=True))
    strips = block.gn(maps * rows.sigmoid() * columns.sigmoid())
    expected = maps * (strips + block.conv3x3(maps)).sigmoid()
    torch.testing.assert_close(block(x), expected.reshape(x.shape))


def test_one_position_in_one_group_is_a_map_like_any_other() -> None:
    # nn.GroupNorm refuses a single value a channel; the equations do not: the norm is its bias there
    block = registry.build("ema", 8, groups=1)
    assert block(torch.randn(1, 8, 1, 1)).isfinite().all()
