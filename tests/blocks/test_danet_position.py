"""DANet's position attention, as loops."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from attnzoo import registry
from attnzoo.blocks.danet_position import DANetPosition
from attnzoo.errors import AttnzooError

from .cases import check_large_maps, fill, wave
from .naive import array, convolve, positions, softmax


def naive_position(maps: np.ndarray, block: DANetPosition) -> np.ndarray:
    """One sample, (C, *S)."""
    query, key, value = (convolve(maps, layer) for layer in (block.query_conv, block.key_conv, block.value_conv))
    every, result = [(slice(None), *at) for at in positions(maps)], np.empty_like(maps)
    for here in every:
        shares = softmax([np.dot(query[here], key[there]) for there in every])
        mean = sum(share * value[there] for share, there in zip(shares, every, strict=True))
        result[here] = maps[here] + array(block.gamma) * mean
    return result


@pytest.mark.parametrize("reduction", [1, 3, 4])
@pytest.mark.parametrize("size", [(3, 4), (1, 1), (2, 3, 2)])
def test_equations(size: tuple[int, ...], reduction: int) -> None:
    block = DANetPosition(6, reduction=reduction, dims=2 if len(size) == 2 else 3).double()
    fill(block)
    x = wave(2, 6, *size)
    expected = np.array([naive_position(sample, block) for sample in array(x)])
    np.testing.assert_allclose(array(block(x)), expected, rtol=1e-10, atol=1e-12)


def test_starts_as_the_identity() -> None:
    x = torch.randn(2, 8, 5, 7)
    assert torch.equal(DANetPosition(8)(x), x)


def test_asks_for_what_fused_kernels_can_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four axes, equal widths, vectors in one piece: otherwise torch holds all positions times all positions."""
    asked: list[torch.Tensor] = []
    fused = F.scaled_dot_product_attention

    def spy(*tensors: torch.Tensor, **options: Any) -> torch.Tensor:
        asked.extend(tensors)
        return fused(*tensors, **options)

    monkeypatch.setattr(F, "scaled_dot_product_attention", spy)
    DANetPosition(16)(torch.randn(2, 16, 3, 5))
    assert [tuple(tensor.shape) for tensor in asked] == [(2, 1, 15, 16)] * 3
    assert all(tensor.is_contiguous() for tensor in asked)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_large_activations_stay_finite_in_half_precision(dtype: torch.dtype) -> None:
    block = DANetPosition(16)
    torch.nn.init.ones_(block.gamma)
    with torch.autocast("cpu", dtype):
        output = block(1000 * torch.randn(1, 16, 24, 24))
    assert output.isfinite().all()


def test_large_maps_keep_the_output_and_up_to_a_hundred_the_gradient() -> None:
    """As *Deviations* says; beyond, the fused backward pass is off, and only the output is right."""
    torch.manual_seed(0)
    block = DANetPosition(64).eval()
    torch.nn.init.ones_(block.gamma)
    check_large_maps(block)


@pytest.mark.parametrize(("options", "count"), [({}, 5201), ({"reduction": 4}, 6241), ({"positions": 9}, 5201)])
def test_parameters(options: dict[str, int], count: int) -> None:
    assert sum(weight.numel() for weight in registry.build("danet_position", 64, **options).parameters()) == count


def test_too_many_positions_are_told_with_the_option() -> None:
    block = DANetPosition(8)
    block.check_size((128, 128))
    block.check_size((16, 32, 32))
    DANetPosition(8, positions=65536).check_size((256, 256))
    with pytest.raises(AttnzooError) as caught:
        block.check_size((256, 256))
    assert str(caught.value) == (
        "`danet_position` cannot relate the 65536 positions of a map of 256×256 with positions=16384\n"
        "hint: place it at a coarser level, or write `positions=65536`: its time grows with the square"
    )


@pytest.mark.parametrize(
    ("channels", "options", "text"),
    [
        (4, {}, "`danet_position` cannot reduce 4 channels by reduction=8\nhint: with 4 channels, reduction is 1 to 4"),
        (64, {"positions": 0}, "`danet_position` cannot relate positions=0\nhint: `positions` is 1 or more"),
    ],
)
def test_impossible_options_are_told(channels: int, options: dict[str, int], text: str) -> None:
    with pytest.raises(AttnzooError) as caught:
        registry.build("danet_position", channels, **options)
    assert str(caught.value) == text
