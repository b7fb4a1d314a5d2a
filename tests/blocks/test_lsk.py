"""The large selective kernel's equations, as loops."""

from typing import Any

import numpy as np
import pytest

from attnzoo import registry
from attnzoo.blocks.lsk import LSK
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import Array, array, positions, sigmoid
from .naive_grouped import convolve


def naive_lsk(maps: Array, block: LSK) -> Array:
    seen, mixed = maps, []
    for see, mix in zip(block.U, block.F_mix, strict=True):
        seen = convolve(seen, see)
        mixed.append(convolve(seen, mix))
    everything = np.concatenate(mixed)
    pooled = np.stack([everything.mean(0), everything.max(0)])
    logits = convolve(pooled, block.F_select)
    chosen = np.zeros_like(mixed[0])
    for at in positions(maps):
        for number, one in enumerate(mixed):
            chosen[(slice(None), *at)] += sigmoid(logits[(number, *at)]) * one[(slice(None), *at)]
    return maps * convolve(chosen, block.F)


@pytest.mark.parametrize(
    ("size", "options"),
    [
        ((5, 8), {}),
        ((1, 1), {}),
        ((4, 3), {"kernels": (3,), "dilations": (1,)}),
        ((6, 5), {"kernels": (3, 5, 3), "dilations": (1, 2, 1), "squeeze": 3}),
        ((2, 4, 3), {"kernels": (3, 3), "squeeze": 3}),
    ],
)
def test_equations(size: tuple[int, ...], options: dict[str, Any]) -> None:
    block = LSK(7, dims=2 if len(size) == 2 else 3, **options).double()
    fill(block)
    x = wave(2, 7, *size)
    expected = np.array([naive_lsk(sample, block) for sample in array(x)])
    np.testing.assert_allclose(array(block(x)), expected, rtol=1e-10, atol=1e-12)


def test_parameters() -> None:
    assert sum(weight.numel() for weight in registry.build("lsk", 64).parameters()) == 3 * 64**2 // 2 + 78 * 64 + 198


@pytest.mark.parametrize(
    ("channels", "options", "text"),
    [
        (
            64,
            {"kernels": (5, 7, 9)},
            "`lsk` cannot pair kernels=(5, 7, 9) with dilations=(1, 3)\n"
            "hint: give one dilation, 1 or more, for each kernel",
        ),
        (
            64,
            {"kernels": (), "dilations": ()},
            "`lsk` cannot pair kernels=() with dilations=()\nhint: give one dilation, 1 or more, for each kernel",
        ),
        (
            64,
            {"dilations": (0, 3)},
            "`lsk` cannot pair kernels=(5, 7) with dilations=(0, 3)\n"
            "hint: give one dilation, 1 or more, for each kernel",
        ),
        (64, {"kernels": (5, 6)}, "`lsk` cannot centre a convolution of 6\nhint: `kernels` and `squeeze` are odd"),
        (64, {"squeeze": 0}, "`lsk` cannot centre a convolution of 0\nhint: `kernels` and `squeeze` are odd"),
        (1, {}, "`lsk` cannot share 1 channels among 2 kernels\nhint: it takes 2 channels or more"),
    ],
)
def test_impossible_options_are_told(channels: int, options: dict[str, Any], text: str) -> None:
    with pytest.raises(AttnzooError) as caught:
        registry.build("lsk", channels, **options)
    assert str(caught.value) == text
