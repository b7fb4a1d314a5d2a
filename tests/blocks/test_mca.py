"""MCA's equations, as loops."""

import math
import statistics

import numpy as np
import pytest
import torch

from attnzoo import registry
from attnzoo.blocks.mca import MCA
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import array, sigmoid


def naive_gate(maps: np.ndarray, gate: torch.nn.Module, axis: int) -> np.ndarray:
    """The factors of one gate, for the slices of one sample (C, *S) along an axis."""
    slices = [part.ravel().tolist() for part in np.moveaxis(maps, axis, 0)]
    first, second = (sigmoid(value) for value in array(gate.weight))
    squeezed = []
    for values in slices:
        mean = sum(values) / len(values)
        deviation = statistics.stdev(values) if len(values) > 1 else 0.0
        squeezed.append((mean + deviation) / 2 + first * mean + second * deviation)
    kernel = array(gate.conv.weight).ravel()
    padded = [0.0] * (len(kernel) // 2) + squeezed + [0.0] * (len(kernel) // 2)
    return np.array([sigmoid(np.dot(kernel, padded[at : at + len(kernel)])) for at in range(len(slices))])


def naive_mca(maps: np.ndarray, block: MCA) -> np.ndarray:
    """One sample, (C, *S)."""
    axes = [*range(1, maps.ndim), 0][: len(block.gates)]
    factors = {axis: naive_gate(maps, gate, axis) for axis, gate in zip(axes, block.gates, strict=True)}
    result = maps.copy()
    for at in np.ndindex(*maps.shape):
        result[at] *= sum(factors[axis][at[axis]] for axis in axes) / len(axes)
    return result


@pytest.mark.parametrize("size", [(3, 4), (1, 5), (1, 1), (2, 3, 2)])
@pytest.mark.parametrize(("channels", "kernel", "channel_gate"), [(6, 5, True), (6, 3, False), (1, 1, True)])
def test_equations(size: tuple[int, ...], channels: int, kernel: int, channel_gate: bool) -> None:
    block = MCA(channels, kernel=kernel, channel_gate=channel_gate, dims=2 if len(size) == 2 else 3).double()
    fill(block)
    x = wave(2, channels, *size)
    expected = np.array([naive_mca(sample, block) for sample in array(x)])
    np.testing.assert_allclose(array(block(x)), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("x", [torch.zeros(1, 4, 3, 3), torch.ones(1, 4, 1, 1), torch.ones(1, 1, 1, 1)])
def test_values_without_deviation_have_a_gradient(x: torch.Tensor) -> None:
    block = MCA(x.shape[1]).train()
    block(x.requires_grad_()).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize(("channels", "kernel"), [(1, 1), (2, 1), (3, 1), (16, 1), (64, 3), (256, 5), (1024, 5)])
def test_auto_is_the_authors_rule(channels: int, kernel: int) -> None:
    assert registry.build("mca", channels).gates[-1].conv.kernel_size == (kernel,)
    rounded = round(abs((math.log2(channels) - 1) / 1.5))
    assert kernel == max(1, rounded if rounded % 2 else rounded - 1)


@pytest.mark.parametrize(("options", "dims", "count"), [({}, 2, 15), ({"channel_gate": False}, 2, 10), ({}, 3, 20)])
def test_parameters(options: dict[str, bool], dims: int, count: int) -> None:
    assert sum(weight.numel() for weight in registry.build("mca", 64, dims=dims, **options).parameters()) == count


def test_impossible_options_are_told() -> None:
    with pytest.raises(AttnzooError) as caught:
        registry.build("mca", 64, kernel=4)
    assert str(caught.value) == ("`mca` cannot centre kernel=4\nhint: a kernel is odd, such as 3 or 5, or `auto`")
