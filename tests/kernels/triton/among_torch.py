"""EMA's operator among torch's own: compiled, exported, under autocast and DDP, and where it declines."""

from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from attnzoo.blocks.ema import EMA
from attnzoo.kernels import triton as kernels

from .ground import DEVICE, Fused, readable, weights_of, with_gradients

# opcheck's fourth, that it compiles with any size, takes ten seconds in the interpreter; one case below does it
CHECKS = ("test_schema", "test_autograd_registration", "test_faketensor")


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # opcheck's own
def test_it_keeps_what_the_library_wants() -> None:
    torch.manual_seed(10)
    x = torch.randn(1, 2, 2, 3, device=DEVICE, requires_grad=True)
    weights = weights_of(EMA(2, groups=1).to(DEVICE))
    torch.library.opcheck(torch.ops.attnzoo.ema_forward.default, (x, 1, *weights, 1e-5), test_utils=CHECKS)


def test_it_compiles_whole_and_exports_with_any_size() -> None:
    torch.manual_seed(11)
    block = EMA(2, groups=1).to(DEVICE)
    fused, x = Fused(block), torch.randn(2, 2, 3, 4, device=DEVICE)
    compiled = torch.compile(fused, fullgraph=True, dynamic=True, backend="aot_eager")
    pulls: list[Tensor] = []
    found, expected = (with_gradients(call, [x], pulls) for call in (compiled, partial(readable, block)))
    torch.testing.assert_close(found, expected)
    sizes = dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC)
    exported = torch.export.export(fused, (x,), dynamic_shapes=(sizes,)).module()
    other = torch.randn(1, 2, 5, 2, device=DEVICE)
    torch.testing.assert_close(exported(other), readable(block, other))


def test_under_autocast_the_map_keeps_its_type_and_weights_theirs() -> None:
    torch.manual_seed(12)
    block = EMA(2, groups=1).to(DEVICE)
    x = torch.randn(1, 2, 3, 4, device=DEVICE)
    expected = readable(block, x)
    with torch.autocast(DEVICE, torch.bfloat16):
        found = Fused(block)(x)
        half = Fused(block)(x.bfloat16().requires_grad_())
        gradients = torch.autograd.grad(half.float().sum(), list(block.parameters()))
    torch.testing.assert_close(found, expected)  # float32 through and through
    assert half.dtype == torch.bfloat16
    assert {gradient.dtype for gradient in gradients} == {torch.float32}


def test_gradients_go_through_distributed_data_parallel(tmp_path: Path) -> None:
    torch.manual_seed(14)
    block, x, pulls = EMA(2, groups=1).to(DEVICE), torch.randn(1, 2, 3, 4, device=DEVICE), list[Tensor]()
    expected = with_gradients(partial(readable, block), [x], pulls, block.parameters())[2:]
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        out = torch.nn.parallel.DistributedDataParallel(Fused(block))(x)
        out.backward(pulls[0])
    finally:
        torch.distributed.destroy_process_group()
    torch.testing.assert_close([weight.grad for weight in block.parameters()], expected)


def test_gradients_of_gradients_and_many_at_once() -> None:
    """By torch's operators: there are no kernels for them."""
    torch.manual_seed(15)
    block = EMA(2, groups=1).to(DEVICE)
    x, pulls = torch.randn(1, 2, 3, 4, device=DEVICE, requires_grad=True), torch.randn(2, 1, 2, 3, 4, device=DEVICE)
    wanted, found = [x, *block.parameters()], []
    for call in (Fused(block), partial(readable, block)):
        (slope,) = torch.autograd.grad(call(x), x, pulls[0], create_graph=True)
        twice = torch.autograd.grad(slope.square().sum(), wanted)
        found.append([*twice, *torch.autograd.grad(call(x), wanted, pulls, is_grads_batched=True)])
    torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=1e-4)


def test_an_empty_batch_stays_empty() -> None:
    block = EMA(4, groups=2).to(DEVICE)
    x = torch.empty(0, 4, 3, 3, device=DEVICE, requires_grad=True)
    found = Fused(block)(x)
    found.sum().backward()
    assert found.shape == x.shape
    assert not block.conv3x3.weight.grad.any()  # type: ignore[union-attr]


def test_what_is_served() -> None:
    x = torch.zeros(1, 2, 3, 3, device=DEVICE)
    assert kernels.serves(x)
    assert not kernels.serves(x.double())
    assert not kernels.serves(x[..., None])
    assert not kernels.serves(x[..., :1, :1])
