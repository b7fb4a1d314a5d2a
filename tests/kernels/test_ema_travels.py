"""Where EMA's plain torch form serves and where it steps back: layouts, autocast, compilers, exports, processes."""

import copy
import io
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attnzoo import kernels
from attnzoo.blocks.ema import EMA
from attnzoo.kernels import ema

from .test_ema import READABLE, TORCH, Forward, distance, filled, laid_out, results

AUTO = torch.export.Dim.AUTO


@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "turned", "strided"])
def test_the_output_lies_in_memory_as_the_readable_one(layout: str) -> None:
    block, x = filled(8, 4), laid_out(torch.randn(2, 8, 6, 5), layout)
    assert TORCH(block, x).stride() == READABLE(block, x).stride()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("form", [TORCH, READABLE], ids=["torch", "readable"])
def test_autocast_gives_the_maps_type(form: Forward, dtype: torch.dtype) -> None:
    block, x = filled(8, 4), torch.randn(2, 8, 16, 16)
    with torch.autocast("cpu", dtype):
        assert form(block, x).dtype == torch.float32
        assert form(block, x.to(dtype)).dtype == dtype


def test_autocast_rounds_neither_the_form_nor_its_gradients() -> None:
    block, x, pull = filled(8, 4), torch.randn(2, 8, 16, 16), torch.randn(2, 8, 16, 16)
    plain = results(TORCH, block, x, pull)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = results(TORCH, block, x, pull)
    assert all(torch.equal(mixed[name], one) for name, one in plain.items())


def served(block: EMA, x: Tensor, word: Any = "torch") -> bool:
    return ema.form(word, block, x) is not None


def test_auto_serves_maps_that_are_large_enough() -> None:
    block = filled(64, 32)
    assert served(block, torch.empty(1, 64, 64, 64), "auto")
    assert not served(block, torch.empty(1, 64, 63, 64), "auto")  # as many operators, and little to win
    assert not served(block, torch.empty(64, 64, 8, 8), "auto")
    assert served(block, torch.empty(1, 64, 1, 1), "torch")
    assert served(block, torch.empty(1, 64, 1, 1), "triton")  # a step down where Triton cannot


def test_what_is_not_the_block_as_it_was_made_is_left_to_the_readable_form() -> None:
    x = torch.randn(1, 8, 6, 5)
    assert served(filled(8, 4), x)
    assert not served(EMA(8, groups=4, dims=3), x[..., None])
    assert not served(filled(8, 4).double(), x)  # an error, which the readable form words
    for change in (
        lambda block: block.conv3x3.register_forward_hook(lambda *_: None),
        lambda block: block.conv1x1.register_forward_pre_hook(lambda *_: None),
        lambda block: setattr(block, "conv1x1", nn.Sequential(block.conv1x1)),
        lambda block: setattr(block, "conv3x3", nn.Conv2d(2, 2, 3, padding=2, dilation=2)),
        lambda block: setattr(block, "conv3x3", nn.Conv2d(2, 2, 3, padding=1, bias=False)),
        lambda block: setattr(block, "gn", nn.GroupNorm(2, 2, affine=False)),
        lambda block: nn.utils.parametrizations.weight_norm(block.conv3x3),
        lambda block: block.gn.register_full_backward_pre_hook(lambda *_: None),
        lambda block: setattr(block.conv1x1, "forward", lambda x: x),
        lambda block: setattr(block, "weights", lambda x: x),
        lambda block: setattr(block, "gn", nn.GroupNorm(1, 2)),
        lambda block: setattr(block, "conv1x1", nn.Conv2d(2, 2, 1, groups=2)),
        lambda block: setattr(block, "conv1x1", nn.Conv2d(2, 2, 1, stride=2)),
        lambda block: setattr(block, "conv1x1", nn.Conv2d(2, 2, 3, padding=1)),
    ):
        block = filled(8, 4)
        change(block)
        assert not served(block, x)


@pytest.mark.parametrize("word", ["readable", "torch"])
@pytest.mark.parametrize("channels", [4, 6, 16])
def test_a_map_of_another_width_is_refused_in_the_readable_forms_words(word: Any, channels: int) -> None:
    with kernels.use(word), pytest.raises(RuntimeError, match=r"expected input|multiply up to the size"):
        filled(8, 4)(torch.randn(1, channels, 6, 5))


@pytest.mark.parametrize("word", ["readable", "torch"])
def test_an_empty_batch_and_a_map_without_numbers(word: Any) -> None:
    with kernels.use(word):
        assert filled(8, 4)(torch.empty(0, 8, 6, 5)).shape == (0, 8, 6, 5)
        assert filled(8, 4).to("meta")(torch.empty(2, 8, 6, 5, device="meta")).shape == (2, 8, 6, 5)


def test_many_gradients_at_once_are_those_of_each() -> None:
    block, x = filled(8, 4), torch.randn(1, 8, 6, 5, requires_grad=True)
    wanted, pulls = [x, *block.parameters()], torch.randn(3, 1, 8, 6, 5)
    with kernels.use("torch"):
        together = torch.autograd.grad(block(x), wanted, pulls, is_grads_batched=True)
        each = [torch.autograd.grad(block(x), wanted, pull) for pull in pulls]
    for found, expected in zip(together, zip(*each, strict=True), strict=True):
        torch.testing.assert_close(found, torch.stack(expected))


@pytest.mark.filterwarnings("ignore:`torch.jit")  # which torch itself uses for forward derivatives
def test_transforms_of_functions_meet_the_readable_form() -> None:
    block, x = filled(8, 4).double(), torch.randn(3, 2, 8, 6, 5, dtype=torch.float64)
    tangent = torch.randn_like(x[0])
    with kernels.use("torch"):
        torch.testing.assert_close(torch.vmap(block)(x), torch.stack([block(one) for one in x]))
        plain = x[0].clone().requires_grad_()
        (grad,) = torch.autograd.grad(block(plain).square().sum(), plain)
        torch.testing.assert_close(torch.func.grad(lambda x: block(x).square().sum())(x[0]), grad)
        output, slope = torch.func.jvp(block, (x[0],), (tangent,))
        with torch.autograd.forward_ad.dual_level():
            dual = torch.autograd.forward_ad.make_dual(x[0], tangent)
            torch.testing.assert_close(torch.autograd.forward_ad.unpack_dual(block(dual)).tangent, slope)
        torch.testing.assert_close(output, block(x[0]))


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_tracing_meets_the_readable_form() -> None:
    block, x = filled(8, 4), torch.randn(2, 8, 6, 5)
    with kernels.use("torch"):
        traced = torch.jit.trace(block, x)
    assert "group_norm" in str(traced.inlined_graph)
    torch.testing.assert_close(traced(x), READABLE(block, x))


def compiled_results(block: EMA, shape: tuple[int, ...], compiled: Any) -> dict[str, float]:
    """How far a compiled graph's results are from the readable form's."""
    x, pull = torch.randn(shape), torch.randn(shape)
    found = results(lambda _block, x: compiled(x), block, x, pull)
    return {name: distance(found[name], one) for name, one in results(READABLE, block, x, pull).items()}


def test_compiles_whole() -> None:
    block = filled(8, 4)
    torch.compiler.reset()
    compiled = torch.compile(block, fullgraph=True, backend="aot_eager")
    assert max(compiled_results(block, (2, 8, 9, 12), compiled).values()) < 1e-4


def test_compiles_under_autocast() -> None:
    block = filled(8, 4)
    torch.compiler.reset()
    compiled = torch.compile(block, fullgraph=True, backend="aot_eager")

    def mixed(x: Tensor) -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            return compiled(x)

    far = compiled_results(block, (2, 8, 9, 12), mixed)
    assert far.pop("out") < 1e-5
    assert max(far.values()) < 0.02  # the compiler traces gradients under autocast


@pytest.mark.slow
def test_one_graph_takes_all_sizes() -> None:
    block = filled(8, 4)
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()
    kernels.chosen()  # the first question, asked within a graph, would cost one more
    compiled = torch.compile(block, fullgraph=True, dynamic=True, backend="aot_eager")
    for shape in ((2, 8, 6, 5), (3, 8, 9, 12), (2, 8, 64, 33)):
        assert max(compiled_results(block, shape, compiled).values()) < 1e-4
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1


@pytest.mark.slow
@pytest.mark.parametrize(("channels", "groups"), [(64, 32), (32, 4)])
def test_compiles_by_inductor(channels: int, groups: int) -> None:
    block = filled(channels, groups)
    torch.compiler.reset()
    compiled = torch.compile(block, fullgraph=True)
    for shape in ((2, channels, 16, 24), (1, channels, 33, 17)):
        assert max(compiled_results(block, shape, compiled).values()) < 1e-4


UNSEEN = ((3, 8, 11, 7), (1, 8, 40, 17), (2, 8, 1, 33))


def exported(block: EMA, strict: bool = False) -> torch.export.ExportedProgram:
    given = (torch.randn(2, 8, 12, 10),)
    with kernels.use("torch"):
        return torch.export.export(block, given, dynamic_shapes=({0: AUTO, 2: AUTO, 3: AUTO},), strict=strict)


@pytest.mark.parametrize("strict", [False, True])
def test_exports_for_open_sizes(strict: bool) -> None:
    block = filled(8, 4).eval()
    program = exported(block, strict)
    assert "einsum" not in str(program.graph)  # the readable form has two
    # the map's, for runtimes that know a convolution; the readable form has a second
    assert [str(node.target) for node in program.graph.nodes].count("aten.conv2d.default") == 1
    for shape in UNSEEN:
        x = torch.randn(shape)
        torch.testing.assert_close(program.module()(x), READABLE(block, x))


def test_exports_to_onnx_for_open_sizes(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    block, file = filled(8, 4).eval(), tmp_path / "ema.onnx"
    torch.onnx.export(exported(block), (), file, dynamo=True, verbose=False)
    session = runtime.InferenceSession(file)
    for shape in UNSEEN:
        x = torch.randn(shape)
        (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        torch.testing.assert_close(torch.from_numpy(found), READABLE(block, x), rtol=1e-4, atol=1e-4)


def test_copies_and_checkpoints_give_the_same_bits() -> None:
    block, x = filled(8, 4), torch.randn(2, 8, 6, 5)
    file = io.BytesIO()
    torch.save(block, file)
    file.seek(0)
    twins = (copy.deepcopy(block), pickle.loads(pickle.dumps(block)), torch.load(file, weights_only=False))
    assert all(torch.equal(TORCH(twin, x), TORCH(block, x)) for twin in twins)


PROCESS = """
import sys

import torch
from torch import nn

from attnzoo import kernels
from attnzoo.blocks.ema import EMA

rank, folder = int(sys.argv[1]), sys.argv[2]
torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
block = EMA(8, groups=4)
block.load_state_dict(torch.load(f"{folder}/weights.pt"))
parallel = nn.parallel.DistributedDataParallel(block)
x = torch.load(f"{folder}/x.pt")[2 * rank : 2 * rank + 2]
with kernels.use("torch"):
    parallel(x).square().mean().backward()
torch.save([weight.grad for weight in block.parameters()], f"{folder}/{rank}.pt")
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path: Path) -> None:
    block, x = filled(8, 4), torch.randn(4, 8, 12, 10)
    torch.save(block.state_dict(), tmp_path / "weights.pt")
    torch.save(x, tmp_path / "x.pt")
    started = [subprocess.Popen([sys.executable, "-c", PROCESS, str(rank), str(tmp_path)]) for rank in range(2)]
    assert [process.wait(120) for process in started] == [0, 0]
    READABLE(block, x).square().mean().backward()
    for rank in range(2):
        for grad, weight in zip(torch.load(tmp_path / f"{rank}.pt"), block.parameters(), strict=True):
            torch.testing.assert_close(grad, weight.grad, rtol=1e-4, atol=1e-6)
