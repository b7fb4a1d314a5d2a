"""MS-CAM's equations, as loops."""

import numpy as np
import pytest
import torch

from attnzoo import registry
from attnzoo.blocks.ms_cam import MSCAM
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import array, batch_norm, convolve, positions, sigmoid


def naive_ms_cam(maps: np.ndarray, block: MSCAM) -> np.ndarray:
    """One sample, (C, *S)."""
    means = maps.mean(tuple(range(1, maps.ndim)), keepdims=True)
    local, whole = (
        batch_norm(convolve(np.maximum(batch_norm(convolve(seen, layers[0]), layers[1]), 0), layers[3]), layers[4])
        for seen, layers in ((maps, block.local_att), (means, block.global_att))
    )
    result = np.empty_like(maps)
    for channel in range(len(maps)):
        for at in positions(maps):
            factor = sigmoid(local[(channel, *at)] + whole[channel].item())
            result[(channel, *at)] = maps[(channel, *at)] * factor
    return result


@pytest.mark.parametrize("size", [(3, 4), (1, 1), (2, 3, 2)])
def test_equations(size: tuple[int, ...]) -> None:
    block = MSCAM(6, reduction=2, dims=2 if len(size) == 2 else 3).double().eval()
    fill(block)
    x = wave(2, 6, *size)
    expected = np.array([naive_ms_cam(sample, block) for sample in array(x)])
    np.testing.assert_allclose(array(block(x)), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("channels", "options", "count"), [(64, {}, 4576), (64, {"reduction": 16}, 1432), (7, {}, 76)])
def test_parameters(channels: int, options: dict[str, int], count: int) -> None:
    assert sum(weight.numel() for weight in registry.build("ms_cam", channels, **options).parameters()) == count


def test_a_batch_of_one_trains_its_global_branch_on_running_statistics() -> None:
    # one mean a channel has no variance, and torch's batch norm refuses it
    block = MSCAM(8)
    fill(block)
    x = wave(1, 8, 3, 5).float()
    before = [buffer.clone() for buffer in block.global_att.buffers()]
    trained = block(x)
    assert trained.isfinite().all()
    assert all(map(torch.equal, before, block.global_att.buffers()))
    block.local_att.eval()
    assert not torch.equal(trained, block(x))
    assert torch.equal(block(x), block.eval()(x))


def test_impossible_reduction_is_told() -> None:
    with pytest.raises(AttnzooError) as caught:
        registry.build("ms_cam", 2)
    assert str(caught.value) == (
        "`ms_cam` cannot reduce 2 channels by reduction=4\nhint: with 2 channels, reduction is 1 to 2"
    )
