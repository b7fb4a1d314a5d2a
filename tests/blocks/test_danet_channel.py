"""DANet's channel attention, as loops."""

import numpy as np
import pytest
import torch

from attnzoo import registry
from attnzoo.blocks.danet_channel import DANetChannel

from .cases import fill, wave
from .naive import array, softmax


def naive_channel(maps: np.ndarray, gamma: float) -> np.ndarray:
    """One sample, (C, *S)."""
    result = np.empty_like(maps)
    for channel in range(len(maps)):
        energy = [np.sum(maps[channel] * other) for other in maps]
        shares = softmax([max(energy) - value for value in energy])
        mean = sum(share * other for share, other in zip(shares, maps, strict=True))
        result[channel] = maps[channel] + gamma * mean
    return result


@pytest.mark.parametrize("size", [(3, 4), (1, 1), (2, 3, 2)])
def test_equations(size: tuple[int, ...]) -> None:
    block = DANetChannel(6, dims=2 if len(size) == 2 else 3).double()
    fill(block)
    x = wave(2, 6, *size)
    expected = np.array([naive_channel(sample, block.gamma.item()) for sample in array(x)])
    np.testing.assert_allclose(array(block(x)), expected, rtol=1e-10, atol=1e-12)


def test_starts_as_the_identity() -> None:
    x = torch.randn(2, 8, 5, 7)
    assert torch.equal(DANetChannel(8)(x), x)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast_does_not_touch_the_products(dtype: torch.dtype) -> None:
    """Channels that differ by less than half precision can tell: a thousandth of a product of ten million."""
    block = DANetChannel(8)
    torch.nn.init.ones_(block.gamma)
    x = 100 + wave(1, 8, 32, 32).float()
    plain = block(x)
    with torch.autocast("cpu", dtype):
        mixed = block(x)
    assert torch.equal(mixed, plain)
    assert mixed.dtype is torch.float32


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_does_not_overflow(dtype: torch.dtype) -> None:
    block = DANetChannel(8).to(dtype)
    torch.nn.init.ones_(block.gamma)
    output = block(1000 * torch.ones(1, 8, 256, 256, dtype=dtype))
    assert torch.equal(output, torch.full_like(output, 2000))


def test_parameters() -> None:
    assert sum(weight.numel() for weight in registry.build("danet_channel", 64).parameters()) == 1
