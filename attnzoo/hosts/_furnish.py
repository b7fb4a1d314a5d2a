"""Furnish a module where it stands: its class becomes a subclass, made on the spot, that goes by the same name.

Nothing moves: the keys of the state dict stay as they are, no hook runs, copies and pickles work, and a compiler sees a
plain forward.
"""

from functools import cache
from typing import Any, ClassVar, cast

from torch import nn
from torch.fx import GraphModule
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.utils.parametrize import is_parametrized

from attnzoo.errors import AttnzooError
from attnzoo.hosts import wrapper_of
from attnzoo.skip import Slot

_AROUND = "name the module around it, or one of its children"
MADE = "_attnzoo_made_it"


class Furnished:
    """Mixed in before the class of a furnished module, whose copies and pickles name the class that it had."""

    outer: ClassVar[int] = 0  # a forward written out lies within what looks at its result, whichever came first

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        cls, mixins = _unmade(type(self))
        return _revive, (cls, *mixins), self.__getstate__()


class Holder(Furnished):
    """Furnished with a slot of its own, its `child`, that its forward runs. None is derived from another of them."""

    child: ClassVar[str]


class After(Holder):
    """A module whose result passes a slot: a host's site."""

    outer: ClassVar[int] = 1
    child: ClassVar[str] = "slot"
    slot: Slot

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.slot(super().forward(*args, **kwargs))  # type: ignore[misc]


class AtPath(Holder):
    """A module whose result passes a slot, as somebody said its path; its host may have put one of its own inside."""

    outer: ClassVar[int] = 2
    child: ClassVar[str] = "after"
    after: Slot

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.after(super().forward(*args, **kwargs))  # type: ignore[misc]


class Behind(Holder):
    """A module whose result passes a slot, beside the one that a written forward may have within."""

    outer: ClassVar[int] = 1
    child: ClassVar[str] = "slot_after"
    slot_after: Slot

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.slot_after(super().forward(*args, **kwargs))  # type: ignore[misc]


def furnish(module: nn.Module, mixin: type[Furnished]) -> None:
    """Give a module the class that a mixin and its own class make together, unless it has it already."""
    if not isinstance(module, mixin):
        cls, mixins = _unmade(type(module))
        module.__class__ = _made(cls, [*mixins, mixin])


def become(module: nn.Module, cls: type[nn.Module]) -> None:
    """Give a module another class of its own; what was mixed into the old one stays."""
    _, mixins = _unmade(type(module))
    module.__class__ = _made(cls, mixins)


def own_class(module: object) -> type:
    """The class that a module had before it was furnished."""
    cls, _ = _unmade(type(module))
    return cast("type", cls)


def slot_after(model: nn.Module, path: str, mixin: type[Holder] = After) -> Slot:
    """The slot that the result of a module passes, made where there is none: at `path.slot`, or at `path.after`.

    Raises:
        AttnzooError: As `check_after`.
    """
    check_after(model, path, mixin)
    module, child = model.get_submodule(path), mixin.child
    if child not in module._modules:
        hang(module, mixin)
        if not _runs_in_turn(module):  # a sequence runs its children in turn: a new last one gets the result
            furnish(module, mixin)
        elif isinstance(said := module._modules.get(AtPath.child), Slot):  # stays the last, whichever came first
            del module._modules[AtPath.child]
            module.add_module(AtPath.child, said)
    return cast("Slot", module._modules[child])


def hang(module: nn.Module, mixin: type[Holder]) -> None:
    """Give a module an empty slot that a mixin is going to run."""
    slot = Slot().train(module.training)
    slot.holder = mixin
    module.add_module(mixin.child, slot)


def check_runs(module: nn.Module, slot: Slot, path: str) -> None:
    """Refuse a module that holds a slot and no longer has the class that runs it."""
    if slot.holder is not None and not isinstance(module, slot.holder) and not _runs_in_turn(module):
        raise AttnzooError(
            f"`{path}` (`{type(module).__name__}`) was replaced after it was furnished, and runs no attention any more",
            "convert or replace modules first, then furnish the model",
        )


def check_after(model: nn.Module, path: str, mixin: type[Holder] = After) -> None:
    """Refuse a module whose result cannot pass a slot: it has no room for one, or would not run it, or not for long."""
    check_room(model, path, mixin)
    module = model.get_submodule(path)
    if (said := _held(module, mixin)) is not None:
        check_runs(module, said, path)
    else:
        check_forward(module, path)


def check_room(model: nn.Module, path: str, mixin: type[Holder] = After) -> None:
    """Refuse a module that has no place for a slot: it has none, or its own forward would run a new child."""
    module, child = model.get_submodule(path), mixin.child
    name, in_turn = own_class(module).__name__, _runs_in_turn(module)
    if hasattr(module, child) and _held(module, mixin) is None:
        raise AttnzooError(f"`{path}` (`{name}`) has its own `{child}`", _AROUND)
    if isinstance(module, nn.ModuleList | nn.ModuleDict | nn.Sequential) and not in_turn:
        raise AttnzooError(
            f"`{path}` (`{name}`) runs its children in a way of its own, and has no place for one more", _AROUND
        )


def check_forward(module: nn.Module, path: str) -> None:
    """Refuse a module that would not run the forward of a class made for it, or would not keep that class."""
    why = None
    if wrapper_of(module) is not None:
        why = "is a wrapper around another module", "furnish the module first, then wrap it"
    elif "forward" in vars(module):
        why = "was given another forward than that of its class", "furnish the module first, then change its forward"
    elif isinstance(module, GraphModule):
        why = "was traced by `torch.fx`, which writes its class anew", "furnish the module first, then trace it"
    elif is_parametrized(module):
        why = "is parametrized, which takes its class back in the end", "furnish the module first, then parametrize it"
    elif isinstance(module, LazyModuleMixin) and module.has_uninitialized_params():
        why = "is lazy, and becomes another class when it first runs", "run the network once, then furnish it"
    if why is not None:
        raise AttnzooError(f"`{path}` (`{own_class(module).__name__}`) {why[0]}", f"{why[1]}; or {_AROUND}")


def _held(module: nn.Module, mixin: type[Holder]) -> Slot | None:
    """The slot that a mixin was to run, if the module has one."""
    said = dict(module.named_children()).get(mixin.child)
    return said if isinstance(said, Slot) and said.holder is mixin else None


def _runs_in_turn(module: nn.Module) -> bool:
    """Whether this is a sequence whose own forward runs every child."""
    return isinstance(module, nn.Sequential) and cast("Any", own_class(module)).forward is nn.Sequential.forward


def _made(cls: Any, mixins: list[Any]) -> Any:
    """The class with the mixins before it, the outermost first; always one and the same for the same ones."""
    for mixin in sorted(mixins, key=lambda mixin: mixin.outer):
        cls = _subclass(mixin, cls)
    return cls


def _unmade(cls: Any) -> tuple[Any, list[Any]]:
    """A class without what was mixed into it, and that, from the innermost."""
    mixins = []
    while MADE in vars(cls):
        mixin, cls = cls.__bases__
        mixins.append(mixin)
    return cls, mixins[::-1]


@cache
def _subclass(mixin: Any, cls: Any) -> Any:
    names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, MADE: True}
    return type(cls.__name__, (mixin, cls), names)


def _revive(cls: Any, *mixins: Any) -> Any:
    """A blank furnished module; its state comes next."""
    made = _made(cls, list(mixins))
    return made.__new__(made)
