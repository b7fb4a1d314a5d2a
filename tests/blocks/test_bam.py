"""BAM's equations, as loops: the authors' code, and the paper."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from attnzoo import registry
from attnzoo.blocks.bam import BAM
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import Array, array, batch_norm, convolve, positions, sigmoid


def stretched(layer: nn.Module) -> SimpleNamespace:
    """The same convolution with zeros between the weights, in place of the dilation."""
    step, weight = layer.dilation[0], layer.weight.detach()
    wide = torch.zeros(*weight.shape[:2], *[(edge - 1) * step + 1 for edge in weight.shape[2:]], dtype=weight.dtype)
    wide[(slice(None), slice(None), *[slice(None, None, step)] * (weight.ndim - 2))] = weight
    return SimpleNamespace(weight=wide, bias=layer.bias, padding=layer.padding)


def run(maps: Array, layers: nn.Sequential) -> Array:
    for layer in layers:
        if isinstance(layer, nn.ReLU):
            maps = np.maximum(maps, 0)
        else:
            maps = batch_norm(maps, layer) if hasattr(layer, "running_mean") else convolve(maps, stretched(layer))
    return maps


def naive_bam(maps: Array, block: BAM, variant: str) -> Array:
    """One sample, (C, *S)."""
    means = np.array([channel.mean() for channel in maps]).reshape(-1, *[1] * (maps.ndim - 1))
    channel, spatial = run(means, block.channel).flatten(), run(maps, block.spatial)[0]
    result = np.empty_like(maps)
    for c in range(len(maps)):
        for at in positions(maps):
            joined = channel[c] + spatial[at] if variant == "paper" else channel[c] * spatial[at]
            result[(c, *at)] = maps[(c, *at)] * (1 + sigmoid(joined))
    return result


@pytest.mark.parametrize("variant", ["authors", "paper"])
@pytest.mark.parametrize(("size", "dilation"), [((5, 7), 4), ((4, 3), 1), ((1, 1), 4), ((3, 2, 4), 2)])
def test_equations(size: tuple[int, ...], dilation: int, variant: str) -> None:
    dims = 2 if len(size) == 2 else 3
    block = BAM(6, reduction=3, dilation=dilation, variant=variant, dims=dims).double().eval()
    fill(block)
    x = wave(2, 6, *size)
    expected = np.array([naive_bam(sample, block, variant) for sample in array(x)])
    np.testing.assert_allclose(array(block(x)), expected, rtol=1e-10, atol=1e-12)


def test_where_each_variant_normalises() -> None:
    def order(variant: str) -> tuple[list[str], list[str]]:
        block = registry.build("bam", 64, variant=variant)
        return tuple([type(layer).__name__ for layer in branch] for branch in (block.channel, block.spatial))

    conv, norm, relu = "Conv2d", "BatchNorm2d", "ReLU"
    assert order("authors") == ([conv, norm, relu, conv], [conv, norm, relu] * 3 + [conv])
    assert order("paper") == ([conv, relu, conv, norm], [conv, relu] * 3 + [conv, norm])


def test_one_sample_trains_and_leaves_no_nan_behind() -> None:
    # the channels' means of one sample are one value for each norm: torch's own refuses that
    block = registry.build("bam", 64).train()
    block(torch.randn(1, 64, 6, 5)).sum().backward()
    assert all(weight.grad.isfinite().all() for weight in block.parameters())
    assert all(tensor.isfinite().all() for tensor in block.state_dict().values())


@pytest.mark.parametrize(
    ("options", "count"), [({}, 1173), ({"reduction": 32}, 547), ({"variant": "paper"}, 1271), ({"dims": 3}, 1749)]
)
def test_parameters(options: dict[str, int], count: int) -> None:
    assert sum(weight.numel() for weight in registry.build("bam", 64, **options).parameters()) == count


@pytest.mark.parametrize(
    ("channels", "options", "text"),
    [
        (8, {}, "`bam` cannot reduce 8 channels by reduction=16\nhint: with 8 channels, reduction is 1 to 8"),
        (64, {"dilation": 0}, "`bam` cannot dilate by dilation=0\nhint: `dilation` is 1 or more"),
        (
            64,
            {"variant": "code"},
            "`bam` cannot take variant=code: possible is authors or paper\nhint: the default is `variant=authors`",
        ),
    ],
)
def test_impossible_options_are_told(channels: int, options: dict[str, int], text: str) -> None:
    with pytest.raises(AttnzooError) as caught:
        BAM(channels, **options)
    assert str(caught.value) == text
