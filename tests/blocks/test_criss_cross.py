"""Criss-cross attention, as loops."""

import numpy as np
import pytest
import torch

from attnzoo import registry
from attnzoo.blocks.criss_cross import CrissCross
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import array, convolve, positions, softmax


def naive_pass(maps: np.ndarray, block: CrissCross) -> np.ndarray:
    """One pass over one sample, (C, *S)."""
    query, key, value = (convolve(maps, layer) for layer in (block.query_conv, block.key_conv, block.value_conv))
    result = np.empty_like(maps)
    for at in positions(maps):
        cross = {at}  # every position that differs from it along one axis at most, itself once
        for axis, length in enumerate(maps.shape[1:]):
            cross |= {(*at[:axis], place, *at[axis + 1 :]) for place in range(length)}
        every, here = [(slice(None), *there) for there in sorted(cross)], (slice(None), *at)
        shares = softmax([np.dot(query[here], key[there]) for there in every])
        mean = sum(share * value[there] for share, there in zip(shares, every, strict=True))
        result[here] = maps[here] + array(block.gamma) * mean
    return result


@pytest.mark.parametrize("recurrence", [1, 2, 3])
@pytest.mark.parametrize("size", [(3, 4), (1, 5), (1, 1), (2, 3, 2), (1, 1, 1)])
def test_equations(size: tuple[int, ...], recurrence: int) -> None:
    block = CrissCross(6, reduction=3, recurrence=recurrence, dims=2 if len(size) == 2 else 3).double()
    fill(block)
    x = wave(2, 6, *size)
    expected = array(x)
    for _ in range(recurrence):
        expected = np.array([naive_pass(sample, block) for sample in expected])
    np.testing.assert_allclose(array(block(x)), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("recurrence", "reached"), [(1, 3 + 5 - 1), (2, 15)])
def test_two_passes_hear_every_position(recurrence: int, reached: int) -> None:
    block = CrissCross(8, recurrence=recurrence).double()
    fill(block)
    x = wave(1, 8, 3, 5).requires_grad_()
    block(x)[0, :, 1, 2].sum().backward()
    assert x.grad is not None
    assert x.grad[0].abs().sum(0).count_nonzero() == reached


def test_starts_as_the_identity() -> None:
    x = torch.randn(2, 8, 5, 7)
    assert torch.equal(CrissCross(8)(x), x)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_large_activations_stay_finite_in_half_precision(dtype: torch.dtype) -> None:
    block = CrissCross(16, recurrence=2)
    torch.nn.init.ones_(block.gamma)
    x = 1000 * torch.randn(1, 16, 24, 24)
    with torch.autocast("cpu", dtype):
        mixed = block(x)
    assert mixed.isfinite().all()
    assert block.to(dtype)(x.to(dtype)).isfinite().all()


@pytest.mark.parametrize(("options", "count"), [({}, 5201), ({"reduction": 4}, 6241), ({"recurrence": 2}, 5201)])
def test_parameters(options: dict[str, int], count: int) -> None:
    assert sum(weight.numel() for weight in registry.build("criss_cross", 64, **options).parameters()) == count


@pytest.mark.parametrize(
    ("channels", "options", "text"),
    [
        (4, {}, "`criss_cross` cannot reduce 4 channels by reduction=8\nhint: with 4 channels, reduction is 1 to 4"),
        (64, {"recurrence": 0}, "`criss_cross` cannot pass recurrence=0 times\nhint: `recurrence` is 1 or more"),
    ],
)
def test_impossible_options_are_told(channels: int, options: dict[str, int], text: str) -> None:
    with pytest.raises(AttnzooError) as caught:
        registry.build("criss_cross", channels, **options)
    assert str(caught.value) == text
