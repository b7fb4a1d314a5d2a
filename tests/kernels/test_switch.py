"""The switch between forms: what it takes, how long it counts, and that it costs nothing before it is needed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attnzoo import kernels
from attnzoo.blocks.ema import EMA
from attnzoo.errors import AttnzooError
from attnzoo.measure import macs

THERE = "there are `auto`, `readable`, `torch` and `triton`"


@pytest.fixture
def unasked(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The environment has not been asked yet, and is asked again after the test."""
    monkeypatch.setattr(kernels, "_environment", None)
    monkeypatch.delenv(kernels.ENVIRONMENT, raising=False)
    return monkeypatch


def test_use_nests_and_ends_with_its_block(unasked: pytest.MonkeyPatch) -> None:
    assert kernels.chosen() == "auto"
    with kernels.use("readable"):
        with kernels.use("torch"):
            assert kernels.chosen() == "torch"
        assert kernels.chosen() == "readable"
        with pytest.raises(RuntimeError), kernels.use("triton"):
            raise RuntimeError
        assert kernels.chosen() == "readable"
    assert kernels.chosen() == "auto"


def test_threads_that_leave_in_another_order_leave_nothing_behind(unasked: pytest.MonkeyPatch) -> None:
    first, second = kernels.use("readable"), kernels.use("torch")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert kernels.chosen() == "torch"
    second.__exit__(None, None, None)
    assert kernels.chosen() == "auto"


@pytest.mark.parametrize("word", ["tritn", "fast", "", "Auto"])
def test_a_word_that_use_does_not_know(word: Any) -> None:
    with pytest.raises(AttnzooError) as caught, kernels.use(word):
        pass
    assert str(caught.value) == f"kernels cannot be `{word}`\nhint: {THERE}"


def test_the_environment_is_asked_at_the_first_question(unasked: pytest.MonkeyPatch) -> None:
    unasked.setenv(kernels.ENVIRONMENT, "readable")
    assert kernels.chosen() == "readable"
    unasked.setenv(kernels.ENVIRONMENT, "torch")
    assert kernels.chosen() == "readable"
    with kernels.use("torch"):
        assert kernels.chosen() == "torch"


def test_a_word_that_the_environment_should_not_say(unasked: pytest.MonkeyPatch) -> None:
    unasked.setenv(kernels.ENVIRONMENT, "Readable")
    with pytest.raises(AttnzooError) as caught:
        EMA(32)(torch.ones(1, 32, 2, 2))
    assert str(caught.value) == f"the environment's `ATTNZOO_KERNELS` cannot be `Readable`\nhint: {THERE}"
    with kernels.use("readable"):
        EMA(32)(torch.ones(1, 32, 2, 2))


def test_importing_blocks_neither_asks_nor_loads_kernels() -> None:
    script = "import attnzoo.blocks, sys; print([name for name in sys.modules if name.startswith('attnzoo.kernels.')])"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {kernels.ENVIRONMENT: "nonsense"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


class Doubled(nn.Module):
    @kernels.fused("ema")
    def forward(self, x: Tensor) -> Tensor:
        """Readable."""
        return 2 * x


def test_a_decorated_forward_is_itself_under_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    from attnzoo.kernels import ema

    asked = []

    def form(word: str, block: nn.Module, x: Tensor) -> Any:
        asked.append(word)
        return (lambda _block, x: 3 * x) if word == "torch" else None

    monkeypatch.setattr(ema, "form", form)
    monkeypatch.setattr(kernels, "LARGE", 1)
    block, x = Doubled(), torch.ones(1)
    assert Doubled.forward.__doc__ == "Readable."
    for word, expected in (("readable", 2), ("auto", 2), ("torch", 3), ("triton", 2)):
        with kernels.use(word):
            assert block(x).item() == expected
    assert asked == ["auto", "torch", "triton"]


def test_multiply_adds_are_those_of_the_definition() -> None:
    block, found = EMA(64), []
    for word in ("readable", "torch"):
        with kernels.use(word):
            found.append(macs.count(block, (1, 64, 64, 64)))
    assert found[0] == found[1]


def test_a_subclass_is_served_by_its_own_body(monkeypatch: pytest.MonkeyPatch) -> None:
    class Louder(EMA):
        def weights(self, x: Tensor) -> Tensor:
            return torch.full_like(x, 7)

    with kernels.use("torch"):
        assert torch.equal(Louder(32)(torch.ones(1, 32, 4, 4)), torch.full((1, 32, 4, 4), 7.0))


def test_a_compiled_graph_hears_the_switch() -> None:
    block, x = EMA(8, groups=4).eval(), torch.randn(2, 8, 6, 5)
    torch.compiler.reset()
    compiled = torch.compile(block, fullgraph=True, backend="aot_eager")
    with kernels.use("torch"):
        fast = compiled(x)
    with kernels.use("readable"):
        assert torch.equal(compiled(x), block(x))
        assert not torch.equal(compiled(x), fast)
    with kernels.use("torch"):
        assert torch.equal(compiled(x), fast)


def test_a_graph_may_be_compiled_before_anything_was_asked(unasked: pytest.MonkeyPatch) -> None:
    block, x = EMA(8, groups=4).eval(), torch.randn(2, 8, 6, 5)
    torch.compiler.reset()
    compiled = torch.compile(block, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), block(x))


def test_a_graph_is_not_bound_to_who_called_before(monkeypatch: pytest.MonkeyPatch) -> None:
    block, x = EMA(8, groups=4).eval(), torch.randn(2, 8, 6, 5)
    monkeypatch.setattr(kernels, "_kernels", None)
    torch.compiler.reset()
    compiled = torch.compile(block, fullgraph=True, backend="aot_eager")
    with kernels.use("torch"), torch._dynamo.config.patch(error_on_recompile=True):
        first = compiled(x)
        assert kernels._kernels is None
        torch.testing.assert_close(block(x), first)
        assert kernels._kernels is not None
        assert torch.equal(compiled(x), first)
