"""The grouped gate's equations, as loops; and MONAI's gate, which it is with one group and a kernel of 1."""

from typing import Any

import numpy as np
import pytest
import torch
from monai.networks.nets.attentionunet import AttentionBlock

from attnzoo import registry
from attnzoo.blocks.lgag import LGAG
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import Array, array, batch_norm, resize, sigmoid
from .naive_grouped import convolve


def naive_lgag(x: Array, gate: Array, block: LGAG) -> Array:
    """One sample, (C, *S) and (G, *T)."""
    decoder = batch_norm(convolve(resize(gate, x.shape[1:]), block.GC_g[0]), block.GC_g[1])
    skip = batch_norm(convolve(x, block.GC_x[0]), block.GC_x[1])
    seen = batch_norm(convolve(np.maximum(decoder + skip, 0), block.C[0]), block.C[1])[0]
    return x * np.vectorize(sigmoid)(seen)


@pytest.mark.parametrize(
    ("size", "other", "options"),
    [
        ((3, 4), (3, 4), {}),
        ((5, 3), (2, 2), {"kernel": 5}),
        ((2, 3), (1, 1), {"groups": 1}),
        ((1, 1), (1, 1), {}),
        ((2, 3, 2), (1, 3, 2), {"inner": 4}),
    ],
)
def test_equations(size: tuple[int, ...], other: tuple[int, ...], options: dict[str, Any]) -> None:
    block = LGAG(8, 6, dims=2 if len(size) == 2 else 3, **options).double().eval()
    fill(block)
    x, gate = wave(2, 8, *size), wave(2, 6, *other, start=1.0)
    expected = [naive_lgag(*sample, block) for sample in zip(array(x), array(gate), strict=True)]
    np.testing.assert_allclose(array(block(x, gate)), np.array(expected), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dims", [2, 3])
def test_one_group_and_a_kernel_of_1_are_monais_gate(dims: int) -> None:
    block = registry.build("lgag", 64, gate_channels=96, dims=dims, kernel=1, groups=1).double().eval()
    twin = AttentionBlock(spatial_dims=dims, f_int=32, f_g=96, f_l=64).double().eval()
    fill(block)
    ours = list(block.state_dict().values())
    twin.load_state_dict(dict(zip(twin.state_dict(), ours, strict=True)))
    x, gate = wave(2, 64, *[3] * dims), wave(2, 96, *[3] * dims, start=1.0)
    torch.testing.assert_close(block(x, gate), twin(g=gate, x=x))


@pytest.mark.parametrize(
    ("channels", "gate_channels", "taken"), [(64, 64, 32), (64, 96, 32), (48, 64, 8), (7, 7, 1), (1, 5, 1), (6, 9, 3)]
)
def test_auto_takes_the_largest_number_that_divides_all_three(channels: int, gate_channels: int, taken: int) -> None:
    block = registry.build("lgag", channels, gate_channels=gate_channels)
    assert block.groups == taken
    assert f"groups={taken}" in repr(block)


def test_parameters() -> None:
    block = registry.build("lgag", 64, gate_channels=64)
    assert sum(weight.numel() for weight in block.parameters()) == 1379 == 43 * 64 // 2 + 3


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"inner": 0}, "`lgag` cannot add at inner=0 channels\nhint: `inner` is 1 or more"),
        ({"kernel": 4}, "`lgag` cannot centre kernel=4\nhint: a kernel is odd, such as 3 or 5"),
        (
            {"inner": 12, "groups": 3},
            "`lgag` cannot split 64, 96 and inner=12 channels into groups=3\n"
            "hint: they divide into `1`, `2` or `4`, and `groups=auto` takes the largest",
        ),
    ],
)
def test_impossible_options_are_told(options: dict[str, int], text: str) -> None:
    with pytest.raises(AttnzooError) as caught:
        registry.build("lgag", 64, gate_channels=96, **options)
    assert str(caught.value) == text
