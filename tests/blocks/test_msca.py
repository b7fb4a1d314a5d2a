"""Multi-scale convolutional attention's equations, as loops."""

from typing import Any

import numpy as np
import pytest

from attnzoo import registry
from attnzoo.blocks.msca import MSCA
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import Array, array
from .naive_grouped import chain, convolve


def naive_msca(maps: Array, block: MSCA) -> Array:
    near = convolve(maps, block.conv0)
    total = near.copy()
    for scale in block.scales:
        total += chain(near, scale)
    return maps * convolve(total, block.conv3)


@pytest.mark.parametrize(
    ("size", "options"),
    [((5, 8), {}), ((1, 1), {}), ((3, 4), {"local": 3, "strips": (3,)}), ((2, 4, 3), {"strips": (3, 5)})],
)
def test_equations(size: tuple[int, ...], options: dict[str, Any]) -> None:
    block = MSCA(3, dims=2 if len(size) == 2 else 3, **options).double()
    fill(block)
    x = wave(2, 3, *size)
    expected = np.array([naive_msca(sample, block) for sample in array(x)])
    np.testing.assert_allclose(array(block(x)), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "count"), [({}, 64**2 + 111 * 64), ({"local": 3, "strips": (7,)}, 64**2 + (10 + 16 + 1) * 64)]
)
def test_parameters(options: dict[str, Any], count: int) -> None:
    assert sum(weight.numel() for weight in registry.build("msca", 64, **options).parameters()) == count


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"local": 4}, "`msca` cannot centre a convolution of 4\nhint: `local` and all `strips` are odd"),
        ({"strips": (7, -1)}, "`msca` cannot centre a convolution of -1\nhint: `local` and all `strips` are odd"),
        (
            {"strips": ()},
            "`msca` cannot do without strips\nhint: give one length for each scale, such as `(7, 11)`",
        ),
    ],
)
def test_impossible_options_are_told(options: dict[str, Any], text: str) -> None:
    with pytest.raises(AttnzooError) as caught:
        registry.build("msca", 64, **options)
    assert str(caught.value) == text
