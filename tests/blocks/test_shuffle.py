"""Shuffle attention's equations, as loops."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from attnzoo import registry
from attnzoo.blocks.shuffle import ShuffleAttention
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import Array, array, positions, sigmoid


def naive_shuffle(maps: Array, block: ShuffleAttention, groups: int) -> Array:
    """One sample, (C, *S)."""
    names = ("cweight", "cbias", "sweight", "sbias")
    cweight, cbias, sweight, sbias = (array(getattr(block, name)).flatten() for name in names)
    scale, shift = array(block.gn.weight), array(block.gn.bias)
    scaled, half = np.empty_like(maps), len(maps) // groups // 2
    for channel, values in enumerate(maps):
        place = channel % (2 * half)  # in its group
        c = place % half  # in its half
        mean, deviation = values.mean(), math.sqrt(values.var() + block.gn.eps)
        for at in positions(maps):
            if place < half:
                factor = cweight[c] * mean + cbias[c]
            else:
                factor = sweight[c] * (scale[c] * (values[at] - mean) / deviation + shift[c]) + sbias[c]
            scaled[(channel, *at)] = values[at] * sigmoid(factor)
    count = len(maps) // 2
    return np.array([scaled[place] for first in range(count) for place in (first, first + count)])


@pytest.mark.parametrize("size", [(3, 4), (1, 1), (2, 3, 2)])
@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_equations(size: tuple[int, ...], groups: int) -> None:
    block = ShuffleAttention(12, groups=groups, dims=2 if len(size) == 2 else 3).double()
    fill(block)
    x = wave(2, 12, *size)
    expected = np.array([naive_shuffle(sample, block, groups) for sample in array(x)])
    np.testing.assert_allclose(array(block(x)), expected, rtol=1e-10, atol=1e-12)


def test_one_position_of_one_sample_in_one_group_is_a_map_like_any_other() -> None:
    # nn.GroupNorm refuses a single value a channel; the equations do not: the norm is its bias there
    assert ShuffleAttention(8, groups=1)(torch.randn(1, 8, 1, 1)).isfinite().all()


def test_starts_with_one_factor_for_all() -> None:
    x = wave(2, 16, 3, 5)
    expected = torch.nn.functional.channel_shuffle(x, 2) * sigmoid(1)
    torch.testing.assert_close(ShuffleAttention(16).double()(x), expected)


@pytest.mark.parametrize(
    ("channels", "options", "count"),
    [(64, {}, 24), (64, {"groups": 32}, 6), (512, {}, 192), (256, {"groups": 64}, 12), (64, {"dims": 3}, 24)],
)
def test_parameters(channels: int, options: dict[str, int], count: int) -> None:
    assert sum(weight.numel() for weight in registry.build("shuffle", channels, **options).parameters()) == count


@pytest.mark.parametrize(("channels", "taken"), [(64, 8), (24, 6), (40, 5), (14, 7), (2, 1), (34, 1)])
def test_auto_takes_the_largest_possible_number_up_to_8(channels: int, taken: int) -> None:
    block = registry.build("shuffle", channels, groups="auto")
    assert block.groups == taken
    assert f"groups={taken}" in repr(block)


@pytest.mark.parametrize(
    ("channels", "groups", "text"),
    [
        (
            24,
            8,
            "`shuffle` cannot split 24 channels into groups=8\n"
            "hint: 24 divides into 1, 2, 3, 4, 6 or 12 groups, and `groups=auto` takes the largest up to 8",
        ),
        (
            2,
            8,
            "`shuffle` cannot split 2 channels into groups=8\n"
            "hint: 2 divides into 1 group, and `groups=auto` takes the largest up to 8",
        ),
        (2, "8", "`shuffle` cannot take groups='8': possible is int or auto\nhint: the default is `groups=8`"),
        (63, "auto", "`shuffle` cannot halve 63 channels\nhint: it needs an even number of channels"),
    ],
)
def test_impossible_groups_are_told(channels: int, groups: Any, text: str) -> None:
    with pytest.raises(AttnzooError) as caught:
        ShuffleAttention(channels, groups=groups)
    assert str(caught.value) == text
