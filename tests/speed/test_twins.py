"""`benchmarks.twins` at tiny sizes: a row for each pair and pass, and twins that give the same numbers."""

from collections.abc import Callable
from typing import Any

import pytest
import torch


def test_every_pair_is_measured(quick: Callable[..., dict[str, Any]]) -> None:
    found = quick("twins", "--only", "gate", "cbam", "UNet:gate")
    assert found["left_out"] == []
    assert [row["row"] for row in found["rows"]] == [
        "gate / plain, forward",
        "gate / plain, forward + backward",
        "cbam / timm's CbamModule, forward",
        "cbam / timm's CbamModule, forward + backward",
        "UNet:gate / plain, forward",
    ]
    for row in found["rows"]:
        low, high = row["bounds"]
        assert 0 < low <= row["value"] <= high
        assert row["met_by_the_bound"] == (high <= 1.05)


@pytest.mark.parametrize(
    "name",
    ["gate", "gate, MONAI", "se", "cbam", "coord", "scse:reduction=16,fuse=sum", "scse", "eca", "simam", "triplet"],
)
def test_a_twin_gives_the_same_numbers(name: str) -> None:
    from benchmarks.twins.pairs import BLOCKS

    torch.manual_seed(0)
    pair = BLOCKS[name][1]((2, 64, 6, 5))
    inputs = [torch.randn(shape) for shape in pair.shapes]
    for training in (False, True):
        torch.testing.assert_close(pair.ours.train(training)(*inputs), pair.twin.train(training)(*inputs))


@pytest.mark.parametrize("attention", ["gate", "ema+gate@skip/ema@bottleneck"])
def test_the_plain_model_is_the_papers(attention: str) -> None:
    from benchmarks.twins.pairs import model

    torch.manual_seed(0)
    pair = model(attention, (32, 64), 16, 2)
    x = torch.randn(pair.shapes[0])
    torch.testing.assert_close(pair.ours.eval()(x), pair.twin.eval()(x), rtol=1e-4, atol=1e-5)


def test_no_pair_is_left_untested() -> None:
    from benchmarks.twins.pairs import BLOCKS

    tested = test_a_twin_gives_the_same_numbers.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert tested == list(BLOCKS)
