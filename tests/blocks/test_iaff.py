"""iAFF's equations, as loops."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from attnzoo import registry
from attnzoo.blocks.iaff import IAFF
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import array, convolve, resize
from .test_aff import naive_mixture, naive_shares


def naive_iaff(x: np.ndarray, gate: np.ndarray, block: IAFF, second: nn.Module) -> np.ndarray:
    """One sample, (C, *S) and (G, *T)."""
    y = gate if isinstance(block.project, nn.Identity) else convolve(gate, block.project)
    y = resize(y, x.shape[1:])
    first = naive_mixture(x, y, naive_shares(x + y, block.local_att, block.global_att))
    return naive_mixture(x, y, naive_shares(first, block.local_att2, second))


@pytest.mark.parametrize(("variant", "second"), [("paper", "global_att2"), ("authors", "global_att")])
@pytest.mark.parametrize(
    ("size", "width", "other"),
    [((3, 4), 4, (3, 4)), ((5, 3), 3, (2, 2)), ((1, 1), 4, (3, 2)), ((2, 3, 2), 5, (1, 3, 4))],
)
def test_equations(size: tuple[int, ...], width: int, other: tuple[int, ...], variant: Any, second: str) -> None:
    block = IAFF(4, width, reduction=2, variant=variant, dims=2 if len(size) == 2 else 3).double().eval()
    fill(block)
    x, gate = wave(2, 4, *size), wave(2, width, *other, start=1.0)
    branch = getattr(block, second)
    expected = [naive_iaff(*sample, block, branch) for sample in zip(array(x), array(gate), strict=True)]
    np.testing.assert_allclose(array(block(x, gate)), np.array(expected), rtol=1e-10, atol=1e-12)


def test_default_has_the_papers_two_global_branches() -> None:
    assert registry.entry("iaff").options["variant"].default == "paper"


def test_parameters() -> None:
    def count(gate_channels: int, **options: Any) -> int:
        block = registry.build("iaff", 64, gate_channels=gate_channels, **options)
        return sum(weight.numel() for weight in block.parameters())

    assert count(64) == count(64, variant="authors") == 9152
    assert count(96) == 9152 + 64 * 97


def test_the_authors_second_global_branch_is_there_and_frozen() -> None:
    block = registry.build("iaff", 8, gate_channels=8, variant="authors")
    frozen = {name.partition(".")[0] for name, weight in block.named_parameters() if not weight.requires_grad}
    assert frozen == {"global_att2"}
    assert all(weight.requires_grad for weight in registry.build("iaff", 8, gate_channels=8).parameters())


def test_a_batch_of_one_trains() -> None:
    block = IAFF(8, 8)
    assert block(torch.randn(1, 8, 1, 1), torch.randn(1, 8, 1, 1)).isfinite().all()


def test_impossible_reduction_is_told() -> None:
    with pytest.raises(AttnzooError) as caught:
        registry.build("iaff", 2, gate_channels=4)
    assert str(caught.value) == (
        "`iaff` cannot reduce 2 channels by reduction=4\nhint: with 2 channels, reduction is 1 to 2"
    )
