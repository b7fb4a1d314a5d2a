"""EMA's plain torch form against the readable one: outputs and every gradient, in every precision."""

import copy
import statistics
from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from attnzoo import kernels
from attnzoo.blocks.ema import EMA
from attnzoo.kernels import ema, ema_cpu
from attnzoo.measure import peak_bytes

Forward = Callable[[EMA, Tensor], Tensor]


def by(word: kernels.Word) -> Forward:
    def forward(block: EMA, x: Tensor) -> Tensor:
        with kernels.use(word):
            out: Tensor = block(x)
        return out

    return forward


def whole(block: EMA, x: Tensor) -> Tensor:
    """What is compiled and exported, here run as it is."""
    return ema.whole(x, block.groups, block.gn.eps, ema._weights(block))


READABLE, TORCH = by("readable"), by("torch")
each_form = pytest.mark.parametrize("form", [TORCH, whole], ids=["pieces", "whole"])


def filled(channels: int, groups: int, seed: int = 0, std: float = 1.0) -> EMA:
    torch.manual_seed(seed)
    block = EMA(channels, groups=groups)
    for weight in block.parameters():
        nn.init.normal_(weight, std=std)
    return block


def results(form: Forward, block: EMA, x: Tensor, pull: Tensor) -> dict[str, Tensor]:
    """The output and all gradients, by name."""
    given_x = x.detach().requires_grad_()
    out = form(block, given_x)
    weights = dict(block.named_parameters())
    grads = torch.autograd.grad(out, [given_x, *weights.values()], pull)
    return {"out": out.detach(), **dict(zip(["x", *weights], grads, strict=True))}


def distance(found: Tensor, truth: Tensor) -> float:
    """Relative, by norms; absolute where the truth is but rounding."""
    scale = float(truth.double().norm())
    far = float((found.double() - truth.double()).norm())
    return far / scale if scale > 1e-9 else far


def laid_out(x: Tensor, layout: str) -> Tensor:
    """Equal numbers, lying differently in memory."""
    if layout == "channels_last":
        return x.to(memory_format=torch.channels_last)
    if layout == "turned":
        return x.transpose(2, 3).contiguous().transpose(2, 3)
    if layout == "strided":
        return torch.stack([x, -x], 4).flatten(3)[..., ::2]
    return x


@each_form
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batch=st.integers(1, 3),
    groups=st.sampled_from([1, 2, 5]),
    width=st.integers(1, 4),
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    piece=st.sampled_from([1, 100, 2**19]),
    level=st.sampled_from([0.0, 3.0, -100.0]),
    height=st.sampled_from([1e-6, 1e-3, 1.0, 1e3, 1e6]),
    layout=st.sampled_from(["contiguous", "channels_last", "turned", "strided"]),
    seed=st.integers(0, 2**16),
)
def test_float64_agrees_to_ten_digits(
    monkeypatch: pytest.MonkeyPatch,
    form: Forward,
    batch: int,
    groups: int,
    width: int,
    size: tuple[int, int],
    piece: int,
    level: float,
    height: float,
    layout: str,
    seed: int,
) -> None:
    monkeypatch.setattr(ema_cpu, "PIECE", piece)
    block = filled(groups * width, groups, seed).double()
    x = laid_out(height * (torch.randn(batch, groups * width, *size, dtype=torch.float64) + level), layout)
    pull = torch.randn(x.shape, dtype=torch.float64)
    found, truth = results(form, block, x, pull), results(READABLE, block, x, pull)
    # where a gate is shut, what a weight's gradient is made of is rounding of numbers as large as x
    floors = {name: 1.0 if name in ("out", "x") else max(1.0, float(x.abs().max())) for name in found}
    for name, one in found.items():
        assert (one - truth[name]).abs().max() <= 1e-10 * truth[name].abs().max().clamp(min=floors[name]), name


CASES = [  # shape, groups, level, height
    ((2, 8, 17, 23), 8, 0, 1),
    ((2, 16, 33, 20), 4, 0, 1),
    ((1, 4, 128, 128), 2, 0, 1),
    ((2, 16, 33, 20), 4, 0, 100),
    ((2, 16, 33, 20), 4, 100, 1),
    ((2, 8, 9, 1), 2, 0, 1),
    ((3, 8, 1, 1), 2, 0, 1),
]
DRAWS = 9


@each_form
@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.bfloat16, torch.float16], ids=["float32", "bfloat16", "float16"]
)
@pytest.mark.parametrize(("shape", "groups", "level", "height"), CASES)
def test_rounds_no_more_than_the_readable_form(
    form: Forward, dtype: torch.dtype, shape: tuple[int, ...], groups: int, level: float, height: float
) -> None:
    """At most four times its error; of medians, since a small gradient may be right by chance."""
    compared(form, dtype, [filled(shape[1], groups, seed) for seed in range(DRAWS)], shape, level, height)


@each_form
@pytest.mark.parametrize(("level", "height"), [(10, 1), (30, 1), (10, 0.1)])
def test_moments_are_centred(form: Forward, level: float, height: float) -> None:
    """E[y²] − E[y]² would lose what is small beside a large mean: by hundreds of times the readable form's error.

    Only where it matters: gates are open, the norm is not weighted away, and the taps add up to nothing.
    """
    blocks = [filled(16, 4, seed, std=0.1) for seed in range(DRAWS)]
    with torch.no_grad():
        for block in blocks:
            block.gn.weight.fill_(1)
            block.conv3x3.weight.sub_(block.conv3x3.weight.mean((2, 3), keepdim=True))
    compared(form, torch.float32, blocks, (2, 16, 33, 20), level, height)


def compared(
    form: Forward, dtype: torch.dtype, blocks: Sequence[EMA], shape: tuple[int, ...], level: float, height: float
) -> None:
    errors: dict[str, list[tuple[float, float]]] = {}
    for drawn in blocks:
        block = drawn.to(dtype)
        x, pull = (height * torch.randn(shape) + level).to(dtype), torch.randn(shape).to(dtype)
        truth = results(READABLE, copy.deepcopy(block).double(), x.double(), pull.double())
        found, readable = results(form, block, x, pull), results(READABLE, block, x, pull)
        for name, true in truth.items():
            errors.setdefault(name, []).append((distance(found[name], true), distance(readable[name], true)))
    for name, pairs in errors.items():
        ours, readable_s = (statistics.median(one) for one in zip(*pairs, strict=True))
        # half precision may overflow in the readable form; ours must still be right
        bound = 4 * max(readable_s, torch.finfo(dtype).eps / 4) if readable_s == readable_s else 0.01
        assert ours <= bound, (name, ours, readable_s)


@each_form
@pytest.mark.slow
@pytest.mark.parametrize(("channels", "side"), [(64, 256), (128, 128), (256, 64), (512, 32)])
def test_rounds_no_more_at_the_models_sizes(form: Forward, channels: int, side: int) -> None:
    test_rounds_no_more_than_the_readable_form(form, torch.float32, (1, channels, side, side), 32, 0.5, 1)


def test_derivatives_by_differences() -> None:
    block, x = filled(4, 2).double(), torch.randn(1, 4, 4, 3, dtype=torch.float64, requires_grad=True)
    weights = tuple(weight.detach().clone().requires_grad_() for weight in block.parameters())
    names = [name for name, _ in block.named_parameters()]

    def function(x: Tensor, *weights: Tensor) -> Tensor:
        return torch.func.functional_call(block, dict(zip(names, weights, strict=True)), (x,))

    with kernels.use("torch"):
        assert torch.autograd.gradcheck(function, (x, *weights))
        assert torch.autograd.gradgradcheck(function, (x, *weights))


def test_only_what_is_asked_for_gets_a_gradient() -> None:
    block, x = filled(8, 4), torch.randn(2, 8, 6, 5)
    block.conv1x1.requires_grad_(False)
    with kernels.use("torch"):
        block(x).square().sum().backward()
        first = block.conv3x3.weight.grad
        assert block.conv1x1.weight.grad is None
        block.zero_grad()
        out = block(x.requires_grad_())
        out.square().sum().backward(retain_graph=True)
        assert torch.equal(block.conv3x3.weight.grad, first)
        out.square().sum().backward()
        torch.testing.assert_close(block.conv3x3.weight.grad, 2 * first)
        block.requires_grad_(False)
        (grad,) = torch.autograd.grad(block(x).square().sum(), x)
    x.grad = None
    with kernels.use("readable"):
        block(x).square().sum().backward()
    torch.testing.assert_close(grad, x.grad)


def test_leaves_its_input_alone() -> None:
    block, x = filled(8, 4), torch.randn(2, 8, 6, 5)
    before, state = x.clone(), copy.deepcopy(block.state_dict())
    TORCH(block, x.requires_grad_()).sum().backward()
    assert torch.equal(x, before)
    assert all(torch.equal(value, state[name]) for name, value in block.state_dict().items())


def test_memory_is_less_than_half() -> None:
    block, x = filled(64, 32), torch.randn(1, 64, 256, 256)
    given_x, pull = x.clone().requires_grad_(), torch.randn_like(x)

    def step() -> object:
        return torch.autograd.grad(block(given_x), [given_x, *block.parameters()], pull)

    def forward() -> object:
        with torch.no_grad():
            return block(x)

    for call in (forward, step):
        peaks = {}
        for word in ("readable", "torch"):
            with kernels.use(word):
                peaks[word] = peak_bytes(call, x.device)
        assert 2 * peaks["torch"] < peaks["readable"]
