"""SGE's equations, as loops."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from attnzoo import registry
from attnzoo.blocks.sge import SGE
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import Array, array, positions, sigmoid


def naive_group(maps: Array, weight: float, bias: float) -> Array:
    """One group of one sample, (c, *S)."""
    means = [channel.mean() for channel in maps]
    inner = {at: sum(maps[(c, *at)] * means[c] for c in range(len(maps))) for at in positions(maps)}
    mean = sum(inner.values()) / len(inner)
    variance = sum((value - mean) ** 2 for value in inner.values()) / max(len(inner) - 1, 1)
    result = np.empty_like(maps)
    for at, value in inner.items():
        normed = (value - mean) / (math.sqrt(variance) + 1e-5)
        result[(slice(None), *at)] = maps[(slice(None), *at)] * sigmoid(weight * normed + bias)
    return result


@pytest.mark.parametrize("size", [(3, 4), (1, 1), (2, 3, 2)])
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_equations(size: tuple[int, ...], groups: int) -> None:
    block = SGE(6, groups=groups, dims=2 if len(size) == 2 else 3).double()
    fill(block)
    x = wave(2, 6, *size)
    numbers = list(zip(array(block.weight).flatten(), array(block.bias).flatten(), strict=True))
    expected = [
        [naive_group(group, *pair) for group, pair in zip(np.split(sample, groups), numbers, strict=True)]
        for sample in array(x)
    ]
    np.testing.assert_allclose(array(block(x)), np.array(expected).reshape(x.shape), rtol=1e-10, atol=1e-12)


def test_starts_with_one_factor_for_all() -> None:
    x = wave(2, 16, 3, 5)
    torch.testing.assert_close(SGE(16).double()(x), x * sigmoid(1))


@pytest.mark.parametrize("size", [(1, 1), (4, 5)])
def test_a_flat_map_has_a_gradient(size: tuple[int, int]) -> None:
    """Dead channels are flat: no deviation, and the root of nothing has no slope."""
    block = SGE(8)
    fill(block)
    for value in (0.0, 3.0):
        x = torch.full((2, 8, *size), value, requires_grad=True)
        block(x).sum().backward()
        assert x.grad is not None
        assert x.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_products_do_not_overflow(dtype: torch.dtype) -> None:
    x = (500 + 100 * wave(1, 8, 64, 64)).to(dtype)
    block = SGE(8, groups=1)
    fill(block)
    torch.testing.assert_close(block(x).double(), block.double()(x.double()), rtol=0.01, atol=0.01)


@pytest.mark.parametrize(("options", "count"), [({}, 16), ({"groups": 64}, 128), ({"groups": 1}, 2), ({"dims": 3}, 16)])
def test_parameters(options: dict[str, int], count: int) -> None:
    assert sum(weight.numel() for weight in registry.build("sge", 64, **options).parameters()) == count


@pytest.mark.parametrize(("channels", "taken"), [(64, 8), (20, 5), (24, 8), (7, 7), (1, 1), (37, 1)])
def test_auto_takes_the_largest_divisor_up_to_8(channels: int, taken: int) -> None:
    block = registry.build("sge", channels, groups="auto")
    assert block.groups == taken
    assert f"groups={taken}" in repr(block)


@pytest.mark.parametrize("groups", [0, -4, 3, 40])
def test_impossible_groups_are_told(groups: int) -> None:
    with pytest.raises(AttnzooError) as caught:
        SGE(20, groups=groups)
    assert str(caught.value) == (
        f"`sge` cannot split 20 channels into groups={groups}\n"
        "hint: 20 divides into 1, 2, 4, 5, 10 or 20 groups, and `groups=auto` takes the largest up to 8"
    )


@pytest.mark.parametrize("groups", [5.0, True, None, "8"])
def test_what_is_no_number_of_groups_is_told_what_may_be_said(groups: Any) -> None:
    with pytest.raises(AttnzooError) as caught:
        SGE(20, groups=groups)
    assert str(caught.value) == (
        f"`sge` cannot take groups={groups!r}: possible is int or auto\nhint: the default is `groups=8`"
    )
