"""ECA's equations, as loops; and timm's twin with our weights."""

from typing import Any

import numpy as np
import pytest
import torch
from timm.layers.eca import EcaModule

from attnzoo import registry
from attnzoo.blocks.eca import ECA
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import Array, array, sigmoid


def naive_eca(maps: Array, block: ECA) -> Array:
    """One sample, (C, *S)."""
    means, weights = [channel.mean() for channel in maps], array(block.conv.weight).flatten()
    result = np.empty_like(maps)
    for c in range(len(maps)):
        seen = [(weight, c + step - len(weights) // 2) for step, weight in enumerate(weights)]
        result[c] = maps[c] * sigmoid(sum(weight * means[near] for weight, near in seen if 0 <= near < len(maps)))
    return result


@pytest.mark.parametrize("size", [(3, 4), (1, 1), (2, 3, 2)])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_equations(size: tuple[int, ...], kernel: int) -> None:
    block = ECA(6, kernel=kernel, dims=2 if len(size) == 2 else 3).double()
    fill(block)
    x = wave(2, 6, *size)
    expected = np.array([naive_eca(sample, block) for sample in array(x)])
    np.testing.assert_allclose(array(block(x)), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("channels", [8, 24, 64, 128, 256, 1024])
def test_agrees_with_timm(channels: int) -> None:
    x = wave(2, channels, 5, 7)
    pairs = [(ECA(channels), EcaModule()), (ECA(channels, kernel="adaptive"), EcaModule(channels))]
    for block, twin in pairs:
        fill(block.double())
        twin.double().load_state_dict(block.state_dict())
        torch.testing.assert_close(block(x), twin(x))


@pytest.mark.parametrize(
    ("channels", "count"), [(1, 1), (7, 1), (8, 3), (64, 3), (127, 3), (128, 5), (512, 5), (2047, 5), (2048, 7)]
)
def test_parameters(channels: int, count: int) -> None:
    def parameters(**options: Any) -> int:
        return sum(weight.numel() for weight in registry.build("eca", channels, **options).parameters())

    assert (parameters(), parameters(kernel=9), parameters(kernel="adaptive")) == (3, 9, count)


@pytest.mark.parametrize("kernel", [0, 4, -3])
def test_impossible_kernels_are_told(kernel: int) -> None:
    with pytest.raises(AttnzooError) as caught:
        ECA(64, kernel=kernel)
    assert str(caught.value) == (
        f"`eca` cannot centre kernel={kernel!r}\n"
        "hint: a kernel is odd, such as 3 or 5, and `kernel=adaptive` takes the paper's for this width"
    )
