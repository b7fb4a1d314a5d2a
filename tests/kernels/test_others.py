"""The faster forms of other blocks than EMA: the block's numbers, where they serve, and where they step back."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attnzoo import kernels, registry
from attnzoo.kernels import cbam, factor, gate, scse, simam

FORMS: dict[str, Any] = {"cbam": cbam, "coord": factor, "gate": gate, "scse": scse, "simam": simam}
OVERWRITING = ("coord", "simam")
SHAPE = (2, 32, 9, 11)


def made(name: str, dims: int = 2, **options: Any) -> tuple[Any, list[Tensor]]:
    """In evaluation mode, with statistics and weights that a norm cannot hide; float64."""
    torch.manual_seed(0)
    extra: dict[str, Any] = {"gate_channels": 16} if name == "gate" else {}
    block = registry.build(name, SHAPE[1], dims=dims, **extra, **options).double().eval()
    for module in block.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            for tensor in (module.weight, module.running_var):
                nn.init.uniform_(tensor, 0.5, 2.0)  # type: ignore[arg-type]
            for tensor in (module.bias, module.running_mean):
                nn.init.normal_(tensor)  # type: ignore[arg-type]
    x = torch.randn(*SHAPE[:2], *(5, *SHAPE[2:])[-dims:], dtype=torch.float64)
    x[0, 0] = 0  # where a maximum of products is a tie
    return block, [x, torch.randn(2, 16, *x.shape[2:], dtype=torch.float64)][: 2 if name == "gate" else 1]


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("name", FORMS)
def test_the_form_gives_the_blocks_numbers(name: str, dims: int) -> None:
    block, inputs = made(name, dims)
    with torch.no_grad():
        form = FORMS[name].form("torch", block, *inputs)
        assert form is not None
        torch.testing.assert_close(form(block, *inputs), inputs[0] * block.weights(*inputs), rtol=1e-12, atol=1e-12)


def test_cbam_gives_every_gradient() -> None:
    block, (x,) = made("cbam")
    x.requires_grad_()
    pull, found = torch.randn_like(x), []
    for word in ("readable", "torch"):
        with kernels.use(word):
            found.append(torch.autograd.grad(block.train()(x), [x, *block.parameters()], pull))
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-10)


def test_a_gate_of_another_size_is_resized_first() -> None:
    block, (x, _) = made("gate")
    coarse = torch.randn(2, 16, 4, 5, dtype=torch.float64)
    with torch.no_grad(), kernels.use("torch"):
        assert gate.form("torch", block, x, coarse) is not None
        torch.testing.assert_close(block(x, coarse), x * block.weights(x, coarse))


def test_a_gate_whose_norms_are_folded_already() -> None:
    from attnzoo.inference import for_inference

    block, inputs = made("gate")
    prepared = for_inference(block)
    assert isinstance(prepared.phi[1], nn.Identity)
    with torch.no_grad():
        form = gate.form("torch", prepared, *inputs)
        assert form is not None
        torch.testing.assert_close(form(prepared, *inputs), block(*inputs))


def test_the_gate_hears_of_weights_that_changed() -> None:
    block, inputs = made("gate")
    with torch.no_grad(), kernels.use("torch"):
        before = block(*inputs)
        block.phi[1].running_mean.add_(1)
        assert not torch.equal(block(*inputs), before)
        torch.testing.assert_close(block(*inputs), inputs[0] * block.weights(*inputs))


def test_where_the_gates_form_steps_back() -> None:
    block, (x, g) = made("gate")

    def served(block: nn.Module = block, x: Tensor = x, g: Tensor = g, word: str = "torch") -> bool:
        return gate.form(word, block, x, g) is not None

    assert not served()  # somebody may want a gradient
    with torch.no_grad():
        assert served()
        assert not served(word="auto")  # too small to pay
        assert not served(copy.deepcopy(block).train())
        assert not served(copy.deepcopy(block).half(), x.half(), g.half())
        assert not served(x=x.contiguous(memory_format=torch.channels_last))
        assert not served(x=x[:1], g=g[:1].expand(2, -1, -1, -1).contiguous())  # which the readable form spreads
        with torch.autocast("cpu"):
            assert not served()


class Twice(nn.BatchNorm2d):
    """A norm that does more."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


@pytest.mark.parametrize(
    "change",
    [
        lambda block: block.psi[1].register_forward_hook(lambda *_: None),
        lambda block: block.theta.register_forward_pre_hook(lambda *_: None),
        lambda block: setattr(block.psi, "forward", lambda x: x),
        lambda block: setattr(block, "weights", lambda x, gate: x),
        lambda block: block.theta.append(nn.ReLU()),
        lambda block: block.psi.__setitem__(2, nn.Hardsigmoid()),
        lambda block: block.phi.__setitem__(1, Twice(16).double().eval()),
        lambda block: block.phi.__setitem__(0, nn.Conv2d(16, 16, 1, groups=2).double()),
        lambda block: block.phi.__setitem__(0, nn.Conv2d(16, 16, 1, stride=2).double()),
        lambda block: block.phi.__setitem__(0, nn.Conv2d(16, 16, 3, padding=1).double()),
    ],
)
def test_a_gate_with_other_layers_is_the_readable_one(change: Callable[[Any], object]) -> None:
    block, (x, g) = made("gate")
    with torch.no_grad():
        block.phi[0] = nn.Conv2d(16, 16, 1).double()  # a layer in another's place is no matter by itself
        assert gate.form("torch", block, x, g) is not None
        change(block)
        assert gate.form("torch", block, x, g) is None


def test_scse_with_a_gradient_or_a_sum_is_the_readable_one() -> None:
    block, (x,) = made("scse")
    assert scse.form("torch", block, x) is None
    with torch.no_grad():
        assert scse.form("torch", block, x) is not None
        assert scse.form("torch", made("scse", fuse="sum")[0], x) is None
        assert scse.form("auto", block, x) is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("name", OVERWRITING)
def test_what_overwrites_its_factor_has_the_same_bits_and_layout(
    name: str, mixed: bool, layout: torch.memory_format, dtype: torch.dtype
) -> None:
    block, (x,) = made(name)
    block, x = block.to(dtype), x.to(dtype).contiguous(memory_format=layout)
    before = x.clone()
    with torch.no_grad(), torch.autocast("cpu", enabled=mixed):
        found = FORMS[name].form("torch", block, x)(block, x)
        expected = x * block.weights(x)
    assert torch.equal(x, before)
    assert torch.equal(found, expected)
    assert (found.dtype, found.stride()) == (expected.dtype, expected.stride())


@pytest.mark.parametrize("name", OVERWRITING)
def test_what_overwrites_its_factor_makes_a_map_less(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    block, (x,) = made(name)
    factors: list[Tensor] = []
    into = factor.into
    monkeypatch.setattr(FORMS[name], "into", lambda one, x: factors.append(one) or into(one, x))
    with torch.no_grad(), kernels.use("torch"):
        assert block(x) is factors[0]


@pytest.mark.parametrize("name", OVERWRITING)
def test_nothing_is_overwritten_for_a_gradient_or_where_weights_are_another_s(name: str) -> None:
    block, (x,) = made(name)
    form = FORMS[name].form
    assert form("torch", block, x) is None
    with torch.no_grad():
        assert form("torch", block, x) is not None
        assert form("auto", block, x) is None
        kept = block.weights(x)
        block.weights = lambda x: kept
        assert form("torch", block, x) is None


@pytest.mark.parametrize("name", FORMS)
def test_large_maps_take_the_form_small_ones_and_named_inputs_do_not(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    block, inputs = made(name)
    asked: list[str] = []
    monkeypatch.setattr(FORMS[name], "form", lambda word, *_: asked.append(word))
    block(*inputs)
    assert asked == []  # of a small map nothing is asked
    monkeypatch.setattr(kernels, "LARGE", 1)
    block(*inputs)
    assert asked == ["auto"]
    if name == "gate":
        torch.testing.assert_close(block(inputs[0], gate=inputs[1]), block(*inputs))
        assert asked == ["auto", "auto"]


@pytest.mark.parametrize("name", FORMS)
def test_compiled_graphs_hold_the_readable_body(name: str) -> None:
    block, inputs = made(name)
    torch.compiler.reset()
    with torch.no_grad(), kernels.use("torch"):
        compiled: Any = torch.compile(block, fullgraph=True, backend="aot_eager")
        assert torch.equal(compiled(*inputs), inputs[0] * block.weights(*inputs))
