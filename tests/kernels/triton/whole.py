"""All of EMA, against the readable block."""

import copy
import math
import statistics
from collections.abc import Sequence
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from attnzoo.blocks.ema import EMA
from attnzoo.kernels.triton import one_launch
from attnzoo.kernels.triton.launching import form

from .ground import DEVICE, LAYOUTS, Fused, far, readable, weights_of, with_gradients


def both(
    shape: Sequence[int], groups: int, dtype: torch.dtype = torch.float32, layout: str = "contiguous", **drawn: float
) -> None:
    """All of EMA, outputs and every gradient: no worse than four times the readable form's own error.

    A gradient of one number may round well in one form and badly in the other: what is over the bar is drawn again and
    again, and fails if its median is over it as well.
    """
    first = errors(shape, groups, dtype, layout, **drawn)
    bar = torch.finfo(dtype).eps  # the readable form may be right by chance
    over = {name: [pair] for name, pair in first.items() if not pair[0] <= 4 * max(pair[1], bar)}
    for _ in range(24 if over else 0):
        again = errors(shape, groups, dtype, layout, **drawn)
        for name, pairs in over.items():
            pairs.append(again[name])
    middles = {name: tuple(map(statistics.median, zip(*pairs, strict=True))) for name, pairs in over.items()}
    assert {name: pair for name, pair in middles.items() if not pair[0] <= 4 * max(pair[1], bar)} == {}


def errors(
    shape: Sequence[int], groups: int, dtype: torch.dtype, layout: str,
    *, shift: float = 0.0, size: float = 1.0, weight: float = 0.5,
) -> dict[str, tuple[float, float]]:  # fmt: skip
    """The relative error of each result, and the readable form's."""
    block = EMA(shape[1], groups=groups)
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=weight)
    block = block.to(DEVICE, dtype)
    x = LAYOUTS[layout]((size * torch.randn(*shape) + shift).to(DEVICE, dtype))
    exact = copy.deepcopy(block).double()
    pulls = [torch.randn(shape).to(DEVICE, dtype)]  # the same number in every type
    truth = with_gradients(partial(readable, exact), [x.double()], pulls, exact.parameters())
    own = with_gradients(partial(readable, block), [x], pulls, block.parameters())
    found = with_gradients(Fused(block), [x], pulls, block.parameters())
    assert found[0].stride() == torch.empty_like(x).stride()
    assert {one.dtype for one in found} == {dtype}
    names = ("out", "x", *(name for name, _ in block.named_parameters()))
    return {
        name: (far(one, true), far(other, true))
        for name, one, other, true in zip(names, found, own, truth, strict=True)
    }


@pytest.mark.parametrize(
    ("shape", "groups"),
    [
        pytest.param((2, 3, 24, 40), 1, id="two samples of three channels a group"),
        pytest.param((1, 2, 30, 35), 2, id="one channel a group"),
        pytest.param((1, 4, 1, 1), 2, id="one position"),
        pytest.param((1, 2, 1, 6), 1, id="one row"),
        pytest.param((1, 2, 6, 1), 1, id="one column"),
    ],
)
def test_ema_is_the_readable_block(shape: tuple[int, ...], groups: int) -> None:
    torch.manual_seed(2)
    both(shape, groups)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_types_are_added_up_in_float32(dtype: torch.dtype) -> None:
    torch.manual_seed(3)
    both((1, 2, 30, 44), 1, dtype)


def test_ema_in_many_pieces(small_pieces: None) -> None:
    torch.manual_seed(4)
    both((1, 2, 6, 9), 1)


@pytest.mark.parametrize(
    ("channels", "groups"),
    [
        pytest.param(4, 2, id="groups of two"),
        pytest.param(6, 6, id="one channel a group"),
        pytest.param(4, 1, id="one group"),
        pytest.param(6, 2, id="groups of three, by the passes for any layout"),
        pytest.param(8, 1, id="a group wider than a piece, likewise"),
    ],
)
def test_channels_last_in_many_pieces(channels: int, groups: int, small_pieces: None) -> None:
    torch.manual_seed(5)
    both((1, channels, 5, 6), groups, layout="channels_last")


def test_a_map_that_was_spread_from_a_column() -> None:
    """Its like, the output, lies in memory otherwise: channels are next to each other in one and not in the other."""
    torch.manual_seed(14)
    x = torch.randn(2, 4, 5, 1, device=DEVICE).contiguous(memory_format=torch.channels_last).expand(-1, -1, -1, 6)
    block, pulls = EMA(4, groups=2).to(DEVICE), list[Tensor]()
    assert form(x).lies_in_channels
    assert torch.empty_like(x).stride(1) != 1
    found, expected = (
        with_gradients(call, [x], pulls, block.parameters()) for call in (Fused(block), partial(readable, block))
    )
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_ema_in_one_launch(dtype: torch.dtype, in_one_launch: None) -> None:
    torch.manual_seed(8)
    assert one_launch.serves(form(torch.empty(1, 6, 5, 7)), 2)
    both((1, 6, 5, 7), 2, dtype)


def test_one_launch_reads_sideways_what_a_warp_cannot_shift(
    in_one_launch: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(10)
    monkeypatch.setattr(one_launch, "LANES", 4)
    both((1, 2, 3, 6), 1)


def test_one_launch_of_large_means(in_one_launch: None) -> None:
    torch.manual_seed(11)
    both((1, 1, 4, 10), 1, shift=1e4, weight=1e-5)


def test_one_launch_leaves_others_to_five() -> None:
    many = torch.empty(4, 32, 8, 8)
    assert one_launch.serves(form(many), 32)
    assert not one_launch.serves(form(many[:1]), 32)  # few programs
    assert not one_launch.serves(form(many.contiguous(memory_format=torch.channels_last)), 32)
    assert not one_launch.serves(form(torch.empty(1, 1, 1).expand(128, 512, 512)[:, None]), 1)  # large groups


def test_small_maths_in_the_words_of_torch(in_words_of_torch: None) -> None:
    torch.manual_seed(12)
    both((2, 3, 4, 5), 1)


def test_gradients_agree_with_differences() -> None:
    """Independent of autograd altogether: along one random direction, the slope of the fused form itself."""
    torch.manual_seed(13)
    block, x, pulls = EMA(2, groups=1).to(DEVICE), torch.randn(1, 2, 6, 5, device=DEVICE), list[Tensor]()
    given = [x, *(weight.detach() for weight in weights_of(block))]

    def fused(x: Tensor, *weights: Tensor) -> Tensor:
        found: Tensor = torch.ops.attnzoo.ema_forward(x, 1, *weights, 1e-5)[0]
        return found

    _, *gradients = with_gradients(fused, given, pulls)
    ways = [torch.randn_like(one) for one in given]
    there, back = (fused(*(one + step * way for one, way in zip(given, ways, strict=True))) for step in (5e-3, -5e-3))
    slope = float(((there - back).double() * pulls[0].double()).sum()) / 1e-2
    expected = sum(float((way * one).sum()) for way, one in zip(ways, gradients, strict=True))
    assert slope == pytest.approx(expected, rel=2e-3, abs=2e-3)


def test_equal_inputs_give_equal_bits(small_pieces: None) -> None:
    torch.manual_seed(9)
    block, x = EMA(2, groups=1).to(DEVICE), torch.randn(1, 2, 5, 6, device=DEVICE)
    pulls: list[Tensor] = []
    first, second = (with_gradients(Fused(block), [x], pulls, block.parameters()) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def test_large_means() -> None:
    torch.manual_seed(6)
    both((1, 1, 20, 56), 1, shift=1e4, weight=1e-5)


def test_large_magnitudes() -> None:
    torch.manual_seed(7)
    both((1, 2, 30, 30), 1, size=1e6, weight=1e-7)


@settings(max_examples=2, deadline=None, derandomize=True)
@given(drawn=st.data())
def test_ema_at_random_shapes(drawn: st.DataObject) -> None:
    at_random(drawn, 2, 40)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(drawn=st.data())
def test_ema_at_many_random_shapes(drawn: st.DataObject) -> None:
    at_random(drawn, 5, 40)


def at_random(drawn: st.DataObject, widest: int, longest: int) -> None:
    groups, each = drawn.draw(st.integers(1, 2)), drawn.draw(st.integers(1, widest))
    shape = (drawn.draw(st.integers(1, 2)), groups * each, *drawn.draw(st.tuples(*[st.integers(1, longest)] * 2)))
    torch.manual_seed(math.prod(shape))
    both(shape, groups, layout=drawn.draw(st.sampled_from(list(LAYOUTS))))
