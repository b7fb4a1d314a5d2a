"""`torch.jit.script` of the blocks that have faster forms: it reads the body that such a form stands in for."""

import copy
import io
from typing import Any

import pytest
import torch

from attnzoo import registry

# torch deprecates it, and it still comes
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit")

FUSED = [name for name in registry.available() if hasattr(registry.entry(name).cls.forward, "fused")]
OPTIONS: dict[str, list[dict[str, Any]]] = {"scse": [{"fuse": "max"}, {"fuse": "sum"}], "ema": [{"groups": 4}]}
CASES = [(name, options) for name in FUSED for options in OPTIONS.get(name, [{}])]


def test_blocks_with_faster_forms_are_found() -> None:
    assert {"cbam", "coord", "ema", "gate", "scse", "simam"} <= {*FUSED}


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize(("name", "options"), CASES)
def test_a_scripted_block_computes_what_the_block_does(name: str, options: dict[str, Any], dims: int) -> None:
    torch.manual_seed(0)
    extra = {"gate_channels": 8} if registry.entry(name).gated else {}
    block = registry.build(name, 16, dims=dims, **extra, **options).double()
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(copy.deepcopy(block)), file)
    file.seek(0)
    scripted = torch.jit.load(file)
    for training, edge in ((True, 6), (False, 5), (True, 7)):  # statistics of the first are used by the second
        inputs = [torch.randn(2, 16, *[edge + axis for axis in range(dims)], dtype=torch.float64, requires_grad=True)]
        if extra:
            inputs.append(torch.randn(2, 8, *[3] * dims, dtype=torch.float64, requires_grad=True))
        found = []
        for one in (block, scripted):
            output = one.train(training)(*inputs)
            found.append([output, *torch.autograd.grad(output.square().sum(), [*inputs, *one.parameters()])])
        torch.testing.assert_close(*found)
    torch.testing.assert_close(scripted.state_dict(), block.state_dict())


def test_a_scripted_norm_takes_a_single_value_too() -> None:
    block = registry.build("gate", 16, gate_channels=8)
    scripted = torch.jit.script(copy.deepcopy(block))
    inputs = torch.randn(1, 16, 1, 1), torch.randn(1, 8, 1, 1)
    torch.testing.assert_close(scripted(*inputs), block(*inputs))
