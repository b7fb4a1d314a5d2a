"""scSE's equations, as loops; and segmentation-models-pytorch's twin with our weights."""

import numpy as np
import pytest
import torch
from segmentation_models_pytorch.base.modules import SCSEModule

from attnzoo import registry
from attnzoo.blocks.scse import SCSE
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import Array, array, positions, sigmoid


def naive_scse(maps: Array, block: SCSE, fuse: str) -> Array:
    """One sample, (C, *S)."""
    means = [channel.mean() for channel in maps]
    inward, outward, across = (array(layer.weight).squeeze() for layer in (block.fc1, block.fc2, block.conv))
    inner = np.maximum(array(block.fc1.bias) + [np.dot(row, means) for row in inward], 0)
    result = np.empty_like(maps)
    for c in range(len(maps)):
        channel = sigmoid(array(block.fc2.bias)[c] + np.dot(outward[c], inner))
        for at in positions(maps):
            position = sigmoid(array(block.conv.bias)[0] + np.dot(across, maps[(slice(None), *at)]))
            both = maps[(c, *at)] * channel, maps[(c, *at)] * position
            result[(c, *at)] = max(both) if fuse == "max" else sum(both)
    return result


@pytest.mark.parametrize("fuse", ["max", "sum"])
@pytest.mark.parametrize("size", [(3, 4), (1, 1), (2, 3, 2)])
def test_equations(size: tuple[int, ...], fuse: str) -> None:
    block = SCSE(6, fuse=fuse, dims=2 if len(size) == 2 else 3).double()
    fill(block)
    x = wave(2, 6, *size)
    expected = np.array([naive_scse(sample, block, fuse) for sample in array(x)])
    np.testing.assert_allclose(array(block(x)), expected, rtol=1e-10, atol=1e-12)


def test_one_factor_has_the_maximums_gradient_at_zeros_too() -> None:
    """Skips are full of zeros, where both results are equal and share the gradient."""
    block = SCSE(8).double()
    fill(block)
    x = wave(2, 8, 5, 7).relu().requires_grad_()
    channel = block.fc2(block.fc1(x.mean((2, 3), keepdim=True)).relu()).sigmoid()
    theirs = torch.maximum(x * channel, x * block.conv(x).sigmoid())
    ours = block(x)
    torch.testing.assert_close(ours, theirs)
    (expected,) = torch.autograd.grad(theirs.square().sum() + theirs.sum(), x)
    (gradient,) = torch.autograd.grad(ours.square().sum() + ours.sum(), x)
    assert (x == 0).any()
    torch.testing.assert_close(gradient, expected)


def test_agrees_with_segmentation_models_pytorch() -> None:
    block, twin = SCSE(64, reduction=16, fuse="sum").double(), SCSEModule(64).double()
    fill(block)
    assert len(block.state_dict()) == len(twin.state_dict())
    twin.load_state_dict(dict(zip(twin.state_dict(), block.state_dict().values(), strict=True)))
    x = wave(2, 64, 5, 7)
    torch.testing.assert_close(block(x), twin(x))


@pytest.mark.parametrize(
    ("options", "count"), [({}, 4257), ({"reduction": 16, "fuse": "sum"}, 645), ({"dims": 3}, 4257)]
)
def test_parameters(options: dict[str, int], count: int) -> None:
    assert sum(weight.numel() for weight in registry.build("scse", 64, **options).parameters()) == count


@pytest.mark.parametrize(
    ("channels", "options", "text"),
    [
        (1, {}, "`scse` cannot reduce 1 channels by reduction=2\nhint: with 1 channels, reduction is 1 to 1"),
        (64, {"fuse": "mean"}, "`scse` cannot take fuse=mean: possible is max or sum\nhint: did you mean `max`?"),
    ],
)
def test_impossible_options_are_told(channels: int, options: dict[str, str], text: str) -> None:
    with pytest.raises(AttnzooError) as caught:
        SCSE(channels, **options)
    assert str(caught.value) == text
