"""What is known of each block, read from its class when it registers."""

import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Never, TypeVar, get_args

from attnzoo import spec
from attnzoo.errors import AttnzooError, listing
from attnzoo.registry.options import Option, check

Kind = Literal["scale", "add", "mix"]
Signal = Literal["upsampled", "coarse"]
Class = TypeVar("Class", bound=type)

ENTRIES: dict[str, "Entry"] = {}
_POSITIONAL = {("channels",): False, ("channels", "gate_channels"): True}
_SHOWN = {"scale": ("weights",), "add": ("added",)}  # what attention maps are taken from
_METHODS = "a block has `forward`, one that scales the skip `weights` too, and one that adds to it `added`"
_CONSTRUCTOR = "it begins with (self, channels, *, …), or with (self, channels, gate_channels, *, …) if it is gated"


@dataclass(frozen=True)
class Entry:
    """What is known of a block.

    `kind` says what it does to the skip: `scale`, `add` or `mix`. A gated block hears the decoder, and `listens` names
    the signal: `upsampled` to the skip's level, or the `coarse` one below it. It is None for all others. `only_2d` is
    why a block has no form for volumes, if it says so. `wraps` names the option that holds another block, for those
    that wrap one: they are given that block's widths, and `registry.signal` tells what they hear. `group` is the
    heading under which blocks are listed: `attnzoo`, `controls`, `timm`, or where a block of somebody else's is from.
    `registrar` is the module that put it under its name, which may have imported the class from another.
    """

    name: str
    cls: type
    paper: str
    year: int
    reference: str
    code: str | None
    licence: str | None
    options: Mapping[str, Option]
    kind: Kind
    listens: Signal | None
    dims: tuple[int, ...]
    only_2d: str
    wraps: str | None
    group: str
    registrar: str

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules without which it were not there, or were another."""
        return tuple(dict.fromkeys((self.cls.__module__, self.registrar)))

    @property
    def foreign(self) -> tuple[str, ...]:
        """Those that are not attnzoo's own."""
        return tuple(module for module in self.modules if not module.startswith("attnzoo."))

    @property
    def gated(self) -> bool:
        """Whether it takes a second input, the decoder's feature."""
        return self.listens is not None


def register(
    name: str,
    *,
    paper: str,
    year: int,
    reference: str,
    code: str | None = None,
    licence: str | None = None,
    group: str | None = None,
) -> Callable[[Class], Class]:
    """Put a block under a name; stands as a decorator above its class.

    Args:
        name: How recipes and the command line call it: small letters, digits and `_`.
        paper: The paper: its authors and title.
        year: Its year.
        reference: Where it is found: an address or an arXiv number.
        code: Where the authors' code is found, if they published it.
        licence: The licence of that code, if it has one.
        group: Under which heading it is listed; by default its package, or the file of a plugin.

    The class is an `nn.Module` with a `kind`, a constructor `(channels, [gate_channels], *, option: type = default, …,
    dims: Literal[2, 3] = 2)` and `forward(x, [gate])`. Where `kind` is `scale` it has `weights(x, [gate])` too, where
    `kind` is `add` it has `added(x, [gate])`, and where it takes `gate_channels` a `listens`. A block without a form
    for volumes has `dims: Literal[2] = 2`, or none, and says why in `only_2d`. One that holds another block names the
    option that says which in `wraps`, and takes `gate_channels` for that block's sake, None where it hears no decoder.
    Registering the same class again replaces it. Its constructor is made to refuse an option's value of another type
    than its annotation says, as `build` does, so that the bare class is no way around.

    Raises:
        AttnzooError: For a name that is taken or cannot be spelt, and for a class that is not as above.
    """
    registrar = sys._getframe(1).f_globals.get("__name__", "__main__")  # as `collections.namedtuple` asks for it

    def put(cls: Class) -> Class:
        if not (spec.spellable(name) and name == name.lower() and name != "all"):  # which commands take for every block
            hint = "names are small letters, digits and `_`, not `none` or `all`"
            raise AttnzooError(f"`{name}` cannot name a block", hint)
        if not isinstance(cls, type):
            raise AttnzooError(f"`{name}` is registered above `{cls!r}`, which is no class", "put it above the class")
        if not cls.__module__.startswith("attnzoo."):
            importlib.import_module("attnzoo.blocks")  # ours come first, so that a clash is told to the other side
        taken = ENTRIES.get(name)
        if taken is not None and _home(taken.cls) != _home(cls):
            raise AttnzooError(f"`{name}` is {_home(taken.cls)}; {_home(cls)} cannot have the name", "choose another")
        about: dict[str, Any] = {"paper": paper, "year": year, "reference": reference, "code": code, "licence": licence}
        about |= {"group": group or _package(cls), "registrar": registrar}
        ENTRIES[name] = _examine(name, cls, about)
        _guard(ENTRIES[name])
        return cls

    return put


def _examine(name: str, cls: type, about: dict[str, Any]) -> Entry:
    """Read the schema of a class, or refuse the class."""

    def refuse(why: str, hint: str) -> Never:
        raise AttnzooError(f"`{name}` cannot be registered: {cls.__qualname__} {why}", hint)

    try:
        parameters = inspect.signature(cls, eval_str=True).parameters
    except NameError as error:
        refuse(f"has a type that cannot be read: {error}", "import what the constructor's annotations name")
    if any(parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL) for parameter in parameters.values()):
        refuse("takes anything by `*` or `**` in its constructor", "name every option, so that a typo is noticed")
    positional = tuple(key for key, parameter in parameters.items() if parameter.kind is not parameter.KEYWORD_ONLY)
    if positional not in _POSITIONAL:
        refuse(f"takes ({', '.join(positional)}) by position in its constructor", _CONSTRUCTOR)
    if "torch.nn.modules.module.Module" not in map(_home, cls.__mro__):  # by name: torch is not imported here
        refuse("is no torch.nn.Module", "derive it from torch.nn.Module")
    kind: Any = getattr(cls, "kind", None)
    listens: Any = getattr(cls, "listens", None)
    if kind not in get_args(Kind):
        refuse(f"has kind={kind!r}", f"`kind` says what it does to the skip: {listing(get_args(Kind))}")
    wraps: Any = getattr(cls, "wraps", None)
    if wraps is not None and (wraps not in parameters or parameters[wraps].annotation is not spec.Chain):
        refuse(f"has wraps={wraps!r}, which is no option for a block", "write the option as `block: spec.Chain = …`")
    if wraps is not None and not _POSITIONAL[positional]:
        refuse("wraps a block and takes no gate_channels", "it begins with (self, channels, gate_channels=None, *, …)")
    if listens not in (get_args(Signal) if _POSITIONAL[positional] and wraps is None else (None,)):
        refuse(
            f"has listens={listens!r} and takes ({', '.join(positional)})",
            f"a gated block takes gate_channels and listens to {listing(get_args(Signal))}; any other does neither",
        )
    for method in ("forward", *_SHOWN.get(kind, ())):
        own = getattr(cls, method, None)
        if not callable(own) or getattr(own, "__name__", "") == "_forward_unimplemented":  # torch's stand-in
            refuse(f"has no {method}", _METHODS)
    options = {
        key: Option(parameter.annotation, parameter.default)
        for key, parameter in parameters.items()
        if key not in positional and key != "dims"
    }
    for key, option in options.items():
        if flaw := option.flaw():
            refuse(f"has the option `{key}` {flaw}", "an option is written `groups: int = 32`")
    dims = get_args(parameters["dims"].annotation) if "dims" in parameters else (2,)
    if not dims or not set(dims) <= {2, 3}:
        refuse("has `dims` of another type", "write `dims: Literal[2, 3] = 2`, or leave it out for 2")
    facts: dict[str, Any] = {"kind": kind, "listens": listens, "dims": dims, "only_2d": getattr(cls, "only_2d", "")}
    return Entry(name=name, cls=cls, options=options, wraps=wraps, **facts, **about)


def _guard(entry: Entry) -> None:
    """Let the constructor check what it is given, whoever calls it, before a line of it runs."""
    construct: Callable[..., None] = entry.cls.__init__  # type: ignore[misc]

    @functools.wraps(construct)
    def guarded(self: object, *widths: int, **options: Any) -> None:
        for option, value in options.items():
            if option in entry.options:
                check(entry.name, option, value, entry.options)
        construct(self, *widths, **options)

    entry.cls.__init__ = guarded  # type: ignore[misc]


def _home(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _package(cls: type) -> str:
    """The package that a class is from; a file that stands alone is called as it is."""
    module = sys.modules.get(cls.__module__)
    file: str | None = getattr(module, "__file__", None)
    if file is not None and not getattr(module, "__package__", None):
        return Path(file).name
    return cls.__module__.partition(".")[0]
