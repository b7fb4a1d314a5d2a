"""The baseline of the speed table computes what the block computes, in the authors' layout."""

import pytest
import torch

from attnzoo import kernels
from attnzoo.blocks.ema import EMA


@pytest.mark.parametrize(("channels", "groups"), [(8, 4), (8, 8), (6, 1)])
@pytest.mark.parametrize("size", [(5, 7), (1, 4), (16, 16)])
def test_the_authors_formulation_is_the_block(channels: int, groups: int, size: tuple[int, int]) -> None:
    from benchmarks import frozen

    torch.manual_seed(0)
    block, authors = EMA(channels, groups=groups).double(), frozen.EMA(channels, groups).double()
    authors.load_state_dict(block.state_dict())
    x = torch.randn(2, channels, *size, dtype=torch.float64, requires_grad=True)
    pull = torch.randn_like(x)
    results = []
    for module in (block, authors):
        with kernels.use("readable"):
            output = module(x)
        wanted = [x, *dict(module.named_parameters()).values()]
        results.append([output, *torch.autograd.grad(output, wanted, pull)])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_it_works_in_the_layout_that_makes_it_slow() -> None:
    from benchmarks import frozen

    shapes = []
    authors = frozen.EMA(8, 4)
    for layer in (authors.rows, authors.columns, authors.gn, authors.conv3x3):
        layer.register_forward_hook(lambda _module, given, _output: shapes.append(tuple(given[0].shape)))
    authors(torch.randn(3, 8, 6, 5))
    assert shapes == [(12, 2, 6, 5)] * 4
