"""NAM's equations, as loops."""

import numpy as np
import pytest
import torch

from attnzoo import registry
from attnzoo.blocks.nam import NAM

from .cases import fill, wave
from .naive import Array, array, batch_norm, positions, sigmoid


def naive_nam(maps: Array, block: NAM) -> Array:
    """One sample, (C, *S)."""
    scales, normed = [abs(scale) for scale in array(block.bn.weight)], batch_norm(maps, block.bn)
    result = np.empty_like(maps)
    for channel in range(len(maps)):
        for at in positions(maps):
            share = scales[channel] / sum(scales)
            result[(channel, *at)] = maps[(channel, *at)] * sigmoid(share * normed[(channel, *at)])
    return result


@pytest.mark.parametrize("size", [(3, 4), (1, 1), (2, 3, 2)])
def test_equations(size: tuple[int, ...]) -> None:
    block = NAM(6, dims=2 if len(size) == 2 else 3).double().eval()
    fill(block)
    x = wave(2, 6, *size)
    expected = np.array([naive_nam(sample, block) for sample in array(x)])
    np.testing.assert_allclose(array(block(x)), expected, rtol=1e-10, atol=1e-12)


def test_shares_are_read_without_a_gradient() -> None:
    """The gradient of the scales is the norm's alone, as in the authors' code."""
    block = NAM(6).double().eval()
    fill(block)
    x = wave(2, 6, 3, 4)
    block(x).sum().backward()
    scale = block.bn.weight.detach().clone().requires_grad_()
    share = (scale.abs() / scale.abs().sum()).detach().reshape(-1, 1, 1)
    running = (block.bn.running_mean, block.bn.running_var)
    normed = torch.nn.functional.batch_norm(x, *running, scale, block.bn.bias.detach(), eps=block.bn.eps)
    (x * (share * normed).sigmoid()).sum().backward()
    torch.testing.assert_close(block.bn.weight.grad, scale.grad)


def test_scales_of_zero_give_a_half() -> None:
    block, x = NAM(6), wave(2, 6, 3, 4).float()
    block.bn.weight.data.zero_()
    torch.testing.assert_close(block(x), x / 2)


def test_one_position_trains() -> None:
    # one value for each norm: torch's own refuses that
    block = registry.build("nam", 64).train()
    block(torch.randn(1, 64, 1, 1)).sum().backward()
    assert all(tensor.isfinite().all() for tensor in block.state_dict().values())


@pytest.mark.parametrize("dims", [2, 3])
def test_parameters(dims: int) -> None:
    assert sum(weight.numel() for weight in registry.build("nam", 64, dims=dims).parameters()) == 128
