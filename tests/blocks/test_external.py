"""External attention, as loops."""

import numpy as np
import pytest
import torch

from attnzoo import registry
from attnzoo.blocks.external import External
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import array, batch_norm, convolve, positions, softmax


def naive_external(maps: np.ndarray, block: External) -> np.ndarray:
    """One sample, (C, *S)."""
    projected, every = convolve(maps, block.conv1), [(slice(None), *at) for at in positions(maps)]
    keys, values = (array(layer.weight)[:, :, 0] for layer in (block.linear_0, block.linear_1))  # (M, C), (C, M)
    attention = np.array([softmax([np.dot(key, projected[at]) for at in every]) for key in keys])  # (M, N)
    remembered = np.empty_like(maps)
    for place, at in enumerate(every):
        shares = [attention[slot, place] / (1e-9 + sum(attention[:, place])) for slot in range(len(keys))]
        remembered[at] = [sum(share * value for share, value in zip(shares, row, strict=True)) for row in values]
    return np.maximum(maps + batch_norm(convolve(remembered, block.conv2[0]), block.conv2[1]), 0)


@pytest.mark.parametrize("size", [(3, 4), (1, 1), (2, 3, 2)])
def test_equations(size: tuple[int, ...]) -> None:
    block = External(6, memory=5, dims=2 if len(size) == 2 else 3).double().eval()
    fill(block)
    x = wave(2, 6, *size)
    expected = np.array([naive_external(sample, block) for sample in array(x)])
    np.testing.assert_allclose(array(block(x)), expected, rtol=1e-10, atol=1e-12)


def test_values_start_as_the_keys_and_learn_for_themselves() -> None:
    block = External(8, memory=5)
    assert torch.equal(block.linear_1.weight[:, :, 0], block.linear_0.weight[:, :, 0].T)
    assert block.linear_1.weight.data_ptr() != block.linear_0.weight.data_ptr()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_position_that_takes_all_leaves_the_others_finite(dtype: torch.dtype) -> None:
    """All memories look at one position; elsewhere the softmaxes are 0, and so is the sum divided by."""
    block = External(8).eval()
    for layer in (block.conv1, block.linear_0):
        torch.nn.init.ones_(layer.weight)
    x = torch.zeros(1, 8, 16, 16)
    x[..., 3, 5] = 1000
    assert block.to(dtype)(x.to(dtype)).isfinite().all()


@pytest.mark.parametrize(("options", "count"), [({}, 16576), ({"memory": 8}, 9408)])
def test_parameters(options: dict[str, int], count: int) -> None:
    assert sum(weight.numel() for weight in registry.build("external", 64, **options).parameters()) == count


def test_a_batch_of_one_position_trains() -> None:
    assert External(8)(torch.randn(1, 8, 1, 1)).isfinite().all()


def test_impossible_memory_is_told() -> None:
    with pytest.raises(AttnzooError) as caught:
        registry.build("external", 64, memory=0)
    assert str(caught.value) == "`external` cannot remember memory=0 vectors\nhint: `memory` is 1 or more"


def test_its_last_relu_passes_what_is_no_number_on() -> None:
    assert External(8).eval()(torch.full((1, 8, 5, 5), torch.nan)).isnan().all()
