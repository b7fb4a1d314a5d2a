"""Furnish a module where it stands: its class becomes a subclass, made on the spot, that goes by the same name.

Nothing moves: the keys of the state dict stay as they are, no hook runs, copies and pickles work, and a compiler sees a
plain forward.
"""

from functools import cache
from typing import Any, ClassVar, cast

from torch import nn

from attnzoo.errors import AttnzooError
from attnzoo.skip import Slot

MADE = "_attnzoo_made_it"


class Furnished:
    """Mixed in before the class of a furnished module, whose copies and pickles name the class that it had."""

    outer: ClassVar[int] = 0  # a forward written out lies within what looks at its result, whichever came first

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        cls, mixins = _unmade(type(self))
        return _revive, (cls, *mixins), self.__getstate__()


class After(Furnished):
    """A module whose result passes a slot: a host's site."""

    outer: ClassVar[int] = 1
    child: ClassVar[str] = "slot"
    slot: Slot

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.slot(super().forward(*args, **kwargs))  # type: ignore[misc]


class AtPath(Furnished):
    """A module whose result passes a slot, as somebody said its path; its host may have put one of its own inside."""

    outer: ClassVar[int] = 2
    child: ClassVar[str] = "after"
    after: Slot

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.after(super().forward(*args, **kwargs))  # type: ignore[misc]


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


def slot_after(model: nn.Module, path: str, mixin: type[After | AtPath] = After) -> Slot:
    """The slot that the result of a module passes, made where there is none: at `path.slot`, or at `path.after`.

    Raises:
        AttnzooError: As `check_after`.
    """
    check_after(model, path, mixin)
    module, child = model.get_submodule(path), mixin.child
    if not hasattr(module, child):
        module.add_module(child, Slot().train(module.training))
        if not isinstance(module, nn.Sequential):  # that runs its children in turn: a new last one gets the result
            furnish(module, mixin)
        elif isinstance(said := module._modules.get(AtPath.child), Slot):  # stays the last, whichever came first
            del module._modules[AtPath.child]
            module.add_module(AtPath.child, said)
    return cast("Slot", getattr(module, child))


def check_after(model: nn.Module, path: str, mixin: type[After | AtPath] = After) -> None:
    """Refuse a module whose result cannot pass a slot: it has none, or its own forward would run a new child."""
    module, child = model.get_submodule(path), mixin.child
    if isinstance(getattr(module, child, None), Slot):
        return
    name = type(module).__name__
    if hasattr(module, child):
        raise AttnzooError(
            f"`{path}` (`{name}`) has its own `{child}`", "name the module around it, or one of its children"
        )
    sequence = isinstance(module, nn.Sequential)
    if isinstance(module, nn.ModuleList | nn.ModuleDict) or (
        sequence and type(module).forward is not nn.Sequential.forward
    ):
        raise AttnzooError(
            f"`{path}` (`{name}`) runs its children in a way of its own, and has no place for one more",
            "name the module around it, or one of its children",
        )


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
