"""Classes made on the spot: keys, copies and pickles as before, and nothing in another's way."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import attnzoo
from attnzoo.errors import AttnzooError
from attnzoo.hosts._furnish import After, AtPath, Behind, Furnished, become, furnish, own_class, slot_after
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


def test_a_slot_of_one_kind_does_not_pass_for_one_of_another() -> None:
    model = net()
    fill(model, "stage", 3.0, Behind)
    fill(model, "stage", 5.0, After)
    assert model["stage"](ONE).item() == 15.0
    model["stage"].slot = Slot()  # as a written forward would have it
    assert refusal(lambda: slot_after(model, "stage"))[0] == "`stage` (`Stage`) has its own `slot`"


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


def patched(module: nn.Module) -> nn.Module:
    inner = module.forward
    module.forward = lambda x: inner(x)
    return module


@pytest.mark.parametrize(
    ("module", "name", "why", "hint"),
    [
        (
            patched(Stage()),
            "Stage",
            "was given another forward than that of its class",
            "furnish the module first, then change its forward",
        ),
        (
            patched(nn.Sequential(Stage())),
            "Sequential",
            "was given another forward than that of its class",
            "furnish the module first, then change its forward",
        ),
        (
            nn.LazyConv2d(8, 3),
            "LazyConv2d",
            "is lazy, and becomes another class when it first runs",
            "run the network once, then furnish it",
        ),
        (
            torch.compile(Stage(), backend="eager"),
            "OptimizedModule",
            "is a wrapper around another module",
            "furnish the module first, then wrap it",
        ),
        (
            parametrizations.spectral_norm(nn.Conv2d(4, 4, 1)),
            "ParametrizedConv2d",
            "is parametrized, which takes its class back in the end",
            "furnish the module first, then parametrize it",
        ),
        (
            torch.fx.symbolic_trace(Stage()),
            "Stage",
            "was traced by `torch.fx`, which writes its class anew",
            "furnish the module first, then trace it",
        ),
    ],
)
def test_what_would_not_run_its_slot_or_lose_it_is_refused(module: Any, name: str, why: str, hint: str) -> None:
    model, cls = nn.ModuleDict({"m": module}), type(module)
    assert refusal(lambda: slot_after(model, "m", AtPath)) == (
        f"`m` (`{name}`) {why}",
        f"{hint}; or name the module around it, or one of its children",
    )
    assert type(module) is cls
    assert not any(isinstance(inner, Slot) for inner in model.modules())


def test_what_is_done_to_a_furnished_module_keeps_its_slot() -> None:
    model = nn.ModuleDict({"conv": nn.Conv2d(4, 4, 1), "stage": Stage()})
    x = torch.randn(1, 4, 3, 3)
    before = model["conv"](x)
    fill(model, "conv", 3.0)
    parametrizations.spectral_norm(model["conv"])
    nn.utils.parametrize.remove_parametrizations(model["conv"], "weight", leave_parametrized=False)
    torch.testing.assert_close(model["conv"](x), 3 * before)
    fill(model, "stage", 3.0)
    patched(model["stage"])
    assert model["stage"](ONE).item() == 3.0
    attnzoo.hosts._furnish.check_after(model, "stage")
