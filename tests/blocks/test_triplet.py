"""Triplet attention's equations, as loops."""

import numpy as np
import pytest
import torch

from attnzoo import registry
from attnzoo.blocks.triplet import TripletAttention
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import Array, array, batch_norm, convolve, sigmoid


def naive_triplet(maps: Array, block: TripletAttention, spatial: bool) -> Array:
    """One sample, (C, *S)."""
    left_out = range(0 if spatial else 1, maps.ndim)
    result = np.zeros_like(maps)
    for axis, (conv, norm) in zip(left_out, block.gates, strict=True):
        turned = maps.swapaxes(0, axis)
        pooled = np.zeros((2, *turned.shape[1:]))
        for at in np.ndindex(*turned.shape[1:]):
            line = [turned[(place, *at)] for place in range(len(turned))]
            pooled[(0, *at)], pooled[(1, *at)] = max(line), sum(line) / len(line)
        seen = np.vectorize(sigmoid)(batch_norm(convolve(pooled, conv), norm)[0])
        result += np.array([one * seen for one in turned]).swapaxes(0, axis) / len(left_out)
    return result


@pytest.mark.parametrize("spatial", [True, False])
@pytest.mark.parametrize(("size", "kernel"), [((3, 5), 7), ((5, 2), 3), ((1, 1), 7), ((2, 3, 4), 3)])
def test_equations(size: tuple[int, ...], kernel: int, spatial: bool) -> None:
    block = TripletAttention(4, kernel=kernel, spatial=spatial, dims=2 if len(size) == 2 else 3).double().eval()
    fill(block)
    x = wave(2, 4, *size)
    expected = np.array([naive_triplet(sample, block, spatial) for sample in array(x)])
    np.testing.assert_allclose(array(block(x)), expected, rtol=1e-10, atol=1e-12)


def test_one_position_trains() -> None:
    # one value for the norm over rows and columns: torch's own refuses that
    block = registry.build("triplet", 64).train()
    block(torch.randn(1, 64, 1, 1)).sum().backward()
    assert all(weight.grad.isfinite().all() for weight in block.parameters())
    assert all(tensor.isfinite().all() for tensor in block.state_dict().values())


@pytest.mark.parametrize(
    ("options", "count"), [({}, 300), ({"kernel": 3}, 60), ({"spatial": False}, 200), ({"dims": 3}, 4 * (2 * 343 + 2))]
)
@pytest.mark.parametrize("channels", [64, 7])
def test_parameters(channels: int, options: dict[str, int], count: int) -> None:
    assert sum(weight.numel() for weight in registry.build("triplet", channels, **options).parameters()) == count


@pytest.mark.parametrize("kernel", [0, 4, -7])
def test_impossible_kernels_are_told(kernel: int) -> None:
    with pytest.raises(AttnzooError) as caught:
        registry.build("triplet", 64, kernel=kernel)
    assert str(caught.value) == f"`triplet` cannot centre kernel={kernel}\nhint: a kernel is odd, such as 3 or 7"
