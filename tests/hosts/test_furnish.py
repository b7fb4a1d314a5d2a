"""Classes made on the spot: keys, copies and pickles as before, and nothing in another's way."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attnzoo.errors import AttnzooError
from attnzoo.hosts._furnish import After, AtPath, Furnished, become, furnish, own_class, slot_after
from attnzoo.skip import Slot


class Stage(nn.Module):
    """Adds one."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.weight


class Twin(Stage):
    """Adds two: another class for the same module."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + self.weight


class Tenfold(Furnished):
    """A forward written out."""

    def forward(self, x: Tensor) -> Tensor:
        return 10 * (x + self.weight)


class Times(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


def net() -> nn.Module:
    return nn.ModuleDict({"stage": Stage(), "chain": nn.Sequential(Stage(), Stage())})


def fill(model: nn.Module, path: str, factor: float, mixin: type[After | AtPath] = After) -> None:
    slot_after(model, path, mixin).fill([("times", Times(factor))])


ONE = torch.zeros(1)


def test_the_result_passes_the_slot_of_a_module_and_of_a_sequence() -> None:
    model = net()
    fill(model, "stage", 3.0)
    fill(model, "chain", 5.0)
    assert model["stage"](ONE).item() == 3.0
    assert model["chain"](ONE).item() == 10.0
    assert isinstance(model["stage"], Stage)
    assert type(model["stage"]).__name__ == "Stage"
    assert type(model["chain"]) is nn.Sequential
    assert list(model.state_dict()) == list(net().state_dict())
    assert slot_after(model, "stage") is model["stage"].slot


@pytest.mark.parametrize("order", [(After, AtPath, Tenfold), (Tenfold, AtPath, After), (AtPath, Tenfold, After)])
def test_whichever_comes_first_a_written_forward_is_innermost_and_a_paths_slot_outermost(order: Any) -> None:
    model = net()
    for mixin in order:
        if mixin is Tenfold:
            furnish(model["stage"], Tenfold)
        else:
            slot_after(model, "stage", mixin)
    model["stage"].slot.fill([("plus", Stage())])
    model["stage"].after.fill([("times", Times(2.0))])
    assert model["stage"](ONE).item() == 2 * (10 + 1)
    assert own_class(model["stage"]) is Stage
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert twin["stage"](ONE).item() == 22.0
        assert type(twin["stage"]) is type(model["stage"])


def test_a_module_may_become_another_class_and_keep_its_slots() -> None:
    model = net()
    fill(model, "stage", 2.0, AtPath)
    become(model["stage"], Twin)
    assert own_class(model["stage"]) is Twin
    assert model["stage"](ONE).item() == 4.0
    become(stage := Stage(), Twin)
    assert type(stage) is Twin


def test_new_slots_are_in_the_mode_of_their_module() -> None:
    model = net().eval()
    assert not slot_after(model, "stage").training
    assert not slot_after(model, "chain").training


def refusal(call: Callable[[], Any]) -> tuple[str, str | None]:
    with pytest.raises(AttnzooError) as caught:
        call()
    return caught.value.message, caught.value.hint


def test_what_has_no_place_for_a_slot_is_refused() -> None:
    class Own(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([child(x) for child in self]).sum(0)

    model = nn.ModuleDict(
        {"own": Own(Stage()), "list": nn.ModuleList([Stage()]), "dict": nn.ModuleDict(), "s": Stage()}
    )
    around = "name the module around it, or one of its children"
    for path, name in (("own", "Own"), ("list", "ModuleList"), ("dict", "ModuleDict")):
        assert refusal(lambda path=path: slot_after(model, path)) == (
            f"`{path}` (`{name}`) runs its children in a way of its own, and has no place for one more",
            around,
        )
    model["s"].slot, model["s"].after = 3, nn.Identity()
    assert refusal(lambda: slot_after(model, "s")) == ("`s` (`Stage`) has its own `slot`", around)
    assert refusal(lambda: slot_after(model, "s", AtPath)) == ("`s` (`Stage`) has its own `after`", around)
    assert not any(isinstance(module, Slot) for module in model.modules())
