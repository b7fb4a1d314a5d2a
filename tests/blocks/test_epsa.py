"""Pyramid squeeze attention's equations, as loops."""

from typing import Any

import numpy as np
import pytest

from attnzoo import registry
from attnzoo.blocks.epsa import EPSA
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import Array, array, sigmoid, softmax
from .naive_grouped import convolve


def naive_epsa(maps: Array, block: EPSA) -> Array:
    branches = [convolve(maps, conv) for conv in block.convs]
    excited = []
    for branch in branches:
        means = np.array([one.mean() for one in branch])
        inner = np.maximum(array(block.fc1.weight) @ means + array(block.fc1.bias), 0)
        excited.append([sigmoid(value) for value in array(block.fc2.weight) @ inner + array(block.fc2.bias)])
    result = []
    for number in reversed(range(len(branches))):  # the code puts each branch before those that it has
        for channel, one in enumerate(branches[number]):
            result.append(softmax([vector[channel] for vector in excited])[number] * one)
    return np.array(result)


@pytest.mark.parametrize(
    ("size", "options"),
    [
        ((5, 4), {"kernels": (3, 5, 7), "groups": (1, 2, 4)}),
        ((1, 1), {"kernels": (3, 5, 7), "groups": (4, 4, 4)}),
        ((3, 4), {"kernels": (3,), "groups": "auto"}),
        ((2, 3, 2), {"kernels": (3, 5), "groups": (2, 6)}),
    ],
)
def test_equations(size: tuple[int, ...], options: dict[str, Any]) -> None:
    block = EPSA(12, reduction=2, dims=2 if len(size) == 2 else 3, **options).double()
    fill(block)
    x = wave(2, 12, *size)
    expected = np.array([naive_epsa(sample, block) for sample in array(x)])
    np.testing.assert_allclose(array(block(x)), expected, rtol=1e-10, atol=1e-12)


def test_parameters() -> None:
    assert sum(weight.numel() for weight in registry.build("epsa", 64).parameters()) == 27121


@pytest.mark.parametrize(
    ("channels", "taken"), [(64, (1, 4, 8, 16)), (128, (1, 4, 8, 16)), (32, (1, 4, 8, 8)), (48, (1, 4, 6, 12))]
)
def test_auto_takes_the_largest_divisors_up_to_the_papers(channels: int, taken: tuple[int, ...]) -> None:
    block = registry.build("epsa", channels, groups="auto", reduction=4)
    assert block.groups == taken
    assert f"groups={taken}" in repr(block)


@pytest.mark.parametrize(
    ("channels", "options", "text"),
    [
        (
            64,
            {"kernels": (3, 4)},
            "`epsa` cannot centre kernels=(3, 4)\nhint: give one or more odd ones, such as `(3, 5)`",
        ),
        (64, {"kernels": ()}, "`epsa` cannot centre kernels=()\nhint: give one or more odd ones, such as `(3, 5)`"),
        (
            6,
            {},
            "`epsa` cannot share 6 channels among 4 kernels\nhint: 6 divides into `1`, `2`, `3` or `6`",
        ),
        (
            32,
            {},
            "`epsa` cannot split branches of 8 channels into groups=(1, 4, 8, 16)\n"
            "hint: give 4 of `1`, `2`, `4` or `8`, or `groups=auto`",
        ),
        (
            32,
            {"groups": (1, 2)},
            "`epsa` cannot split branches of 8 channels into groups=(1, 2)\n"
            "hint: give 4 of `1`, `2`, `4` or `8`, or `groups=auto`",
        ),
        (
            32,
            {"groups": "auto"},
            "`epsa` cannot reduce branches of 8 channels by reduction=16\n"
            "hint: with 32 channels and 4 kernels, reduction is 1 to 8",
        ),
    ],
)
def test_impossible_options_are_told(channels: int, options: dict[str, Any], text: str) -> None:
    with pytest.raises(AttnzooError) as caught:
        registry.build("epsa", channels, **options)
    assert str(caught.value) == text
