"""SRM's equations, as loops."""

import math

import numpy as np
import pytest
import torch

from attnzoo import registry
from attnzoo.blocks.srm import SRM

from .cases import fill, wave
from .naive import Array, array, batch_norm, sigmoid


def naive_srm(maps: Array, block: SRM) -> Array:
    """One sample, (C, *S)."""
    cfc, style = array(block.cfc), np.empty(len(maps))
    for channel, values in enumerate(maps):
        mean = values.mean()
        variance = sum((value - mean) ** 2 for value in values.flat) / max(values.size - 1, 1)
        style[channel] = cfc[channel, 0] * mean + cfc[channel, 1] * math.sqrt(variance + 1e-5)
    normed = batch_norm(style, block.bn)
    return np.array([sigmoid(factor) * values for factor, values in zip(normed, maps, strict=True)])


@pytest.mark.parametrize("size", [(3, 4), (1, 1), (2, 3, 2)])
def test_equations(size: tuple[int, ...]) -> None:
    block = SRM(6, dims=2 if len(size) == 2 else 3).double().eval()
    fill(block)
    x = wave(2, 6, *size)
    expected = np.array([naive_srm(sample, block) for sample in array(x)])
    np.testing.assert_allclose(array(block(x)), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("size", [(1, 1), (4, 5)])
def test_one_sample_trains_by_the_running_statistics(size: tuple[int, int]) -> None:
    """One value for each norm: torch's own refuses that."""
    block = registry.build("srm", 8)
    fill(block)
    before = {key: tensor.clone() for key, tensor in block.state_dict().items()}
    x = wave(1, 8, *size).float()
    torch.testing.assert_close(block.train()(x), block.eval()(x))
    assert all(torch.equal(tensor, before[key]) for key, tensor in block.state_dict().items())
    block.train()(torch.cat([x, -x]))
    assert not torch.equal(block.bn.running_mean, before["bn.running_mean"])


@pytest.mark.parametrize("size", [(1, 1), (4, 5)])
def test_a_flat_map_has_a_gradient(size: tuple[int, int]) -> None:
    """Dead channels are flat: the root of no variance has a slope, for something is added to it."""
    block = SRM(8).eval()
    fill(block)
    x = torch.zeros(2, 8, *size, requires_grad=True)
    block(x).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_starts_with_a_half() -> None:
    x = wave(2, 16, 3, 5)
    for training in (True, False):
        torch.testing.assert_close(SRM(16).double().train(training)(x), x / 2)


@pytest.mark.parametrize("dims", [2, 3])
def test_parameters(dims: int) -> None:
    assert sum(weight.numel() for weight in registry.build("srm", 64, dims=dims).parameters()) == 256
