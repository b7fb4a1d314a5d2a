"""Context anchor attention's equations, as loops."""

import numpy as np
import pytest

from attnzoo import registry
from attnzoo.blocks.caa import CAA
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import Array, array, batch_norm, positions, sigmoid
from .naive_grouped import chain, convolve


def means(maps: Array, edge: int) -> Array:
    """What lies beyond the border counts as zero."""
    result, reach = np.zeros_like(maps), edge // 2
    for at in positions(maps):
        near = tuple(slice(max(0, place - reach), place + reach + 1) for place in at)
        result[(slice(None), *at)] = [one[near].sum() / edge ** len(at) for one in maps]
    return result


def naive_caa(maps: Array, block: CAA, pool: int) -> Array:
    seen = means(maps, pool)
    for step in (block.conv1, block.strips, block.conv2):
        if step is block.strips:
            seen = chain(seen, step)
        else:
            seen = batch_norm(convolve(seen, step[0]), step[1])
            seen = seen * np.vectorize(sigmoid)(seen)
    return maps * np.vectorize(sigmoid)(seen)


@pytest.mark.parametrize(
    ("size", "kernel", "pool"), [((5, 9), 11, 7), ((1, 1), 11, 7), ((4, 3), 3, 3), ((2, 4, 3), 3, 3), ((5, 2, 3), 5, 7)]
)
def test_equations(size: tuple[int, ...], kernel: int, pool: int) -> None:
    block = CAA(3, kernel=kernel, pool=pool, dims=2 if len(size) == 2 else 3).double().eval()
    fill(block)
    x = wave(2, 3, *size)
    expected = np.array([naive_caa(sample, block, pool) for sample in array(x)])
    np.testing.assert_allclose(array(block(x)), expected, rtol=1e-10, atol=1e-12)


def test_norms_as_in_the_authors_code() -> None:
    block = CAA(4)
    assert {(step[1].momentum, step[1].eps) for step in (block.conv1, block.conv2)} == {(0.03, 1e-3)}


@pytest.mark.parametrize(("options", "count"), [({}, 9984), ({"kernel": 3}, 9984 - 2 * 8 * 64), ({"pool": 3}, 9984)])
def test_parameters(options: dict[str, int], count: int) -> None:
    assert sum(weight.numel() for weight in registry.build("caa", 64, **options).parameters()) == count


@pytest.mark.parametrize("option", ["kernel", "pool"])
@pytest.mark.parametrize("edge", [0, 4, -1])
def test_impossible_options_are_told(option: str, edge: int) -> None:
    with pytest.raises(AttnzooError) as caught:
        registry.build("caa", 64, **{option: edge})
    assert str(caught.value) == f"`caa` cannot centre {option}={edge}\nhint: `{option}` is odd, such as 7 or 11"
