"""SimAM's equations, as loops."""

import math

import numpy as np
import pytest
import torch

from attnzoo import registry
from attnzoo.blocks.simam import SimAM
from attnzoo.errors import AttnzooError

from .cases import wave
from .naive import Array, array, positions, sigmoid


def naive_simam(maps: Array, e_lambda: float) -> Array:
    """One sample, (C, *S): the sigmoid of one over the minimal energy of each value."""
    result = np.empty_like(maps)
    for channel, values in enumerate(maps):
        mean, count = values.mean(), values.size
        variance = sum((value - mean) ** 2 for value in values.flat) / (count - 1) if count > 1 else 0.0
        for at in positions(maps):
            square = (values[at] - mean) ** 2
            energy = 4 * (variance + e_lambda) / (square + 2 * variance + 2 * e_lambda)
            result[(channel, *at)] = values[at] * sigmoid(1 / energy)
    return result


@pytest.mark.parametrize("size", [(3, 4), (1, 1), (1, 5), (2, 3, 2)])
@pytest.mark.parametrize("e_lambda", [1e-4, 0.1])
def test_equations(size: tuple[int, ...], e_lambda: float) -> None:
    block = SimAM(6, e_lambda=e_lambda, dims=2 if len(size) == 2 else 3)
    x = wave(2, 6, *size)
    expected = np.array([naive_simam(sample, e_lambda) for sample in array(x)])
    np.testing.assert_allclose(array(block(x)), expected, rtol=1e-10, atol=1e-12)


def test_a_flat_map_is_scaled_by_one_number() -> None:
    """One position, or one value everywhere: nothing stands out. The authors' code gives NaN for one position."""
    block = SimAM(3)
    for x in (torch.full((1, 3, 1, 1), 2.0), torch.full((2, 3, 4, 5), 2.0), torch.zeros(2, 3, 4, 5)):
        torch.testing.assert_close(block(x.requires_grad_()), x * sigmoid(0.5))
        block(x).sum().backward()
        assert x.grad is not None
        assert x.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_squares_do_not_overflow(dtype: torch.dtype) -> None:
    x = (500 * wave(1, 2, 64, 64)).to(dtype)
    torch.testing.assert_close(SimAM(2)(x).double(), SimAM(2)(x.double()), rtol=0.01, atol=0.01)


def test_parameters() -> None:
    block = registry.build("simam", 64)
    assert list(block.state_dict()) == []
    assert "e_lambda=0.0001" in repr(block)


@pytest.mark.parametrize("e_lambda", [0, 0.0, -1e-4, math.nan, math.inf])
def test_impossible_lambda_is_told(e_lambda: float) -> None:
    with pytest.raises(AttnzooError) as caught:
        SimAM(64, e_lambda=e_lambda)
    assert str(caught.value) == (
        f"`simam` cannot divide with e_lambda={e_lambda}\nhint: `e_lambda` is above 0, as 0.0001 is"
    )
