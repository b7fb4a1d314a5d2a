import copy

import pytest
import torch
from torch import Tensor, nn

from attnzoo.errors import AttnzooError
from attnzoo.skip import Slot


class Scale(nn.Module):
    """Multiplies by its one parameter."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


class Add(nn.Module):
    """Adds the mean of the signal that it listens to."""

    def __init__(self, listens: str) -> None:
        super().__init__()
        self.listens = listens

    def forward(self, x: Tensor, gate: Tensor) -> Tensor:
        return x + gate.mean()


def test_an_empty_slot_passes_the_very_skip_and_weighs_nothing() -> None:
    slot = Slot()
    x = torch.randn(1, 2, 3, 3)
    assert slot(x) is x
    assert slot(x, upsampled=x + 1, coarse=x + 2) is x
    assert dict(slot.state_dict()) == {}
    assert list(slot.parameters()) == []


def test_blocks_apply_from_left_to_right() -> None:
    slot, x, one = Slot(), torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
    slot.fill([("scale", Scale(3.0)), ("add", Add("upsampled"))])
    assert slot(x, upsampled=one).unique().tolist() == [4.0]
    slot.fill([("add", Add("upsampled")), ("scale", Scale(3.0))])
    assert slot(x, upsampled=one).unique().tolist() == [6.0]


@pytest.mark.parametrize(("listens", "total"), [("upsampled", 11.0), ("coarse", 101.0)])
def test_a_gated_block_hears_what_it_listens_to(listens: str, total: float) -> None:
    slot, one = Slot(), torch.ones(1, 1, 4, 4)
    slot.fill([("add", Add(listens))])
    assert slot(one, upsampled=10 * one, coarse=100 * one[..., :2, :2]).unique().tolist() == [total]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_residual_slot_begins_as_nothing_and_learns_how_much(dtype: torch.dtype) -> None:
    slot, x = Slot(), torch.rand(2, 3, 4, 4, dtype=dtype)  # positive: rounded sums would cancel
    slot.fill([("scale", Scale(3.0)), ("scale", Scale(2.0))], nn.Parameter(torch.zeros(1)))
    slot.to(dtype)
    assert torch.equal(slot(x), x)
    assert slot(x).dtype == dtype
    assert slot.residual == "zero"
    slot(x).sum().backward()
    torch.testing.assert_close(slot.gamma.grad, (5 * x).sum().reshape(1), rtol=2e-2, atol=0)
    assert [block.factor.grad.item() for block in slot.blocks] == [0.0, 0.0]
    slot.gamma.data.fill_(0.5)
    torch.testing.assert_close(slot(x), x + 0.5 * (6 * x - x))


def test_a_residual_slot_keeps_the_skips_type_where_its_blocks_have_another() -> None:
    class Half(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (2 * x).half()

    slot, x = Slot(), torch.randn(1, 2, 3, 3)
    slot.fill([("half", Half())], nn.Parameter(torch.zeros(1)))
    assert slot(x).dtype == torch.float32
    assert slot(x.half()).dtype == torch.float16
    assert torch.equal(slot(x), x)


@pytest.mark.parametrize("flaw", [float("nan"), float("inf")])
def test_a_residual_slot_hides_no_flaw(flaw: float) -> None:
    slot = Slot()
    slot.fill([("scale", Scale(flaw))], nn.Parameter(torch.zeros(1)))
    assert slot(torch.ones(1, 1, 2, 2)).isnan().all()


def test_a_slot_filled_anew_is_residual_only_if_that_is_said_again() -> None:
    slot = Slot()
    assert slot.residual == "none"
    slot.fill([("scale", Scale(3.0))], nn.Parameter(torch.zeros(1)))
    assert repr(slot).startswith("Slot(\n  scale, residual\n")
    assert list(slot.state_dict()) == ["gamma", "blocks.0.factor"]
    slot.fill([("scale", Scale(3.0))])
    assert slot.residual == "none"
    assert list(slot.state_dict()) == ["blocks.0.factor"]


def test_a_slot_says_what_it_holds_and_survives_a_copy() -> None:
    slot = Slot()
    slot.fill([("scale:factor=2.0", Scale(2.0)), ("add", Add("coarse"))])
    assert slot.spellings == ("scale:factor=2.0", "add")
    assert repr(slot).startswith("Slot(\n  scale:factor=2.0+add\n")
    assert list(slot.state_dict()) == ["blocks.0.factor"]
    twin = copy.deepcopy(slot)
    twin.blocks[0].factor.data.fill_(7.0)
    assert twin.spellings == slot.spellings
    assert slot.blocks[0].factor.item() == 2.0


@pytest.mark.filterwarnings("ignore:.torch.jit")  # torch deprecates it, and it still comes
def test_torch_script_is_told_that_it_cannot_read_a_slot() -> None:
    network = nn.Sequential(nn.Conv2d(1, 1, 1), Slot())
    with pytest.raises(AttnzooError) as caught:
        torch.jit.script(network)
    assert str(caught.value) == (
        "`torch.jit.script` cannot read a network with places for attention\n"
        "hint: `torch.export.export`, `torch.compile` and `torch.jit.trace` take it"
    )
