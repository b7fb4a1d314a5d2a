"""AFF's equations, as loops."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from attnzoo import registry
from attnzoo.blocks.aff import AFF
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import array, batch_norm, convolve, positions, resize, sigmoid


def naive_shares(maps: np.ndarray, local: nn.Module, whole: nn.Module) -> np.ndarray:
    """MS-CAM's factor for each number of one sample, (C, *S)."""
    means = maps.mean(tuple(range(1, maps.ndim)), keepdims=True)
    near, far = (
        batch_norm(convolve(np.maximum(batch_norm(convolve(seen, layers[0]), layers[1]), 0), layers[3]), layers[4])
        for seen, layers in ((maps, local), (means, whole))
    )
    return np.vectorize(sigmoid)(near + far)


def naive_mixture(x: np.ndarray, y: np.ndarray, shares: np.ndarray) -> np.ndarray:
    result = np.empty_like(x)
    for channel in range(len(x)):
        for at in positions(x):
            place = (channel, *at)
            result[place] = x[place] * shares[place] + y[place] * (1 - shares[place])
    return result


def naive_aff(x: np.ndarray, gate: np.ndarray, block: AFF) -> np.ndarray:
    """One sample, (C, *S) and (G, *T); the mixture, not doubled."""
    y = gate if isinstance(block.project, nn.Identity) else convolve(gate, block.project)
    y = resize(y, x.shape[1:])
    return naive_mixture(x, y, naive_shares(x + y, block.local_att, block.global_att))


@pytest.mark.parametrize(("variant", "factor"), [("authors", 2), ("paper", 1)])
@pytest.mark.parametrize(
    ("size", "width", "other"),
    [((3, 4), 4, (3, 4)), ((5, 3), 3, (2, 2)), ((1, 1), 4, (3, 2)), ((2, 3, 2), 5, (1, 3, 4))],
)
def test_equations(size: tuple[int, ...], width: int, other: tuple[int, ...], variant: Any, factor: int) -> None:
    block = AFF(4, width, reduction=2, variant=variant, dims=2 if len(size) == 2 else 3).double().eval()
    fill(block)
    x, gate = wave(2, 4, *size), wave(2, width, *other, start=1.0)
    expected = [factor * naive_aff(*sample, block) for sample in zip(array(x), array(gate), strict=True)]
    np.testing.assert_allclose(array(block(x, gate)), np.array(expected), rtol=1e-10, atol=1e-12)


def test_half_shares_give_the_sum() -> None:
    block = AFF(4, 4).eval()
    for branch in (block.local_att, block.global_att):
        nn.init.zeros_(branch[4].weight)
    x, gate = wave(1, 4, 3, 5).float(), wave(1, 4, 3, 5, start=1.0).float()
    torch.testing.assert_close(block(x, gate), x + gate)


def test_parameters() -> None:
    def count(gate_channels: int, **options: int) -> int:
        block = registry.build("aff", 64, gate_channels=gate_channels, **options)
        return sum(weight.numel() for weight in block.parameters())

    assert count(64) == 4576
    assert count(96) == 4576 + 64 * 97
    assert count(64, reduction=16) == 1432


def test_a_batch_of_one_trains() -> None:
    block = AFF(8, 8)
    assert block(torch.randn(1, 8, 1, 1), torch.randn(1, 8, 1, 1)).isfinite().all()


def test_impossible_reduction_is_told() -> None:
    with pytest.raises(AttnzooError) as caught:
        registry.build("aff", 2, gate_channels=4)
    assert str(caught.value) == (
        "`aff` cannot reduce 2 channels by reduction=4\nhint: with 2 channels, reduction is 1 to 2"
    )
