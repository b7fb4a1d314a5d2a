"""Every block's map, seen in passing, is what the block does; and looking changes nothing."""

import copy

import pytest
import torch

from attnzoo import registry
from attnzoo.skip import look

from .cases import CASES, inputs, make, usual

FORMS = [(name, dims) for name in CASES for dims in registry.entry(name).dims]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("name", "dims"), FORMS)
def test_a_look_shows_what_the_block_does_and_changes_nothing(name: str, dims: int, training: bool) -> None:
    block = make(name, dims=dims).train(training)
    twin, given = copy.deepcopy(block), inputs(name, usual(name, dims))
    torch.manual_seed(0)
    expected, stream = twin(*given), torch.get_rng_state()
    torch.manual_seed(0)
    result, shown = look(block, tuple(given))
    assert torch.equal(result, expected)
    assert torch.equal(torch.get_rng_state(), stream)
    assert all(map(torch.equal, block.state_dict().values(), twin.state_dict().values()))
    x, seen = given[0], shown.tensor
    if shown.kind == "scale":
        assert torch.equal(x * seen, result)
    elif shown.kind == "add":
        assert torch.equal(x + seen, result)
    else:
        torch.testing.assert_close(seen, (result - x).square().sum(1, keepdim=True).sqrt())
    assert not seen.requires_grad
