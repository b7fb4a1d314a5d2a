"""A block's options: read from its constructor's signature, and checked against it before the constructor is called."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from attnzoo import spec
from attnzoo.errors import AttnzooError, did_you_mean, listing

_PLAIN = {int: "int", float: "float", str: "str", bool: "True or False", NoneType: "None", spec.Chain: "[blocks]"}
_CAPITALS = {"true": "True", "false": "False", "none": "None", "null": "None"}


@dataclass(frozen=True)
class Option:
    """An option's annotation and its default, which is the paper's value."""

    annotation: Any
    default: Any

    @property
    def type(self) -> str:
        """What may be given, in words: `int or auto`."""
        return words(self.annotation)

    def flaw(self) -> str | None:
        """Why this cannot be an option, or None."""
        if self.default is inspect.Parameter.empty:
            return "without a default"
        if self.annotation is inspect.Parameter.empty:
            return "without a type"
        if not _known(self.annotation):
            return "of a type that cannot be spelt"
        if not fits(self.default, self.annotation):
            return "with a default of another type"
        return None if _spellable(self.default) else "with a default that cannot be spelt"


def check(block: str, name: str, value: spec.Value, options: Mapping[str, Option]) -> None:
    """Refuse an option that the block does not have, or a value of another type."""
    if name not in options:
        raise AttnzooError(
            f"`{block}` has no option `{name}`",
            did_you_mean(name, options)
            or (f"it has {listing(options, last='and')}" if options else "it has no options"),
        )
    if not fits(value, options[name].annotation):
        said = _said(value)
        choices = [spec.spell(choice) for choice in _choices(options[name].annotation)]
        capital = _CAPITALS.get(said)
        raise AttnzooError(
            f"`{block}` cannot take {name}={said}: possible is {options[name].type}",
            (f"write `{name}={capital}`" if capital else did_you_mean(said, choices))
            or f"the default is `{name}={spec.spell(options[name].default)}`",
        )


def check_form(
    block: str, dims: int, *, possible: tuple[int, ...] = (2, 3), why: str = "", **widths: int | None
) -> None:
    """Refuse spatial dimensions that a block has no form for, saying why, and widths that nothing can have."""
    if dims not in possible:
        reason = f": {why}" if why else ""
        raise AttnzooError(
            f"`{block}` has no form for {dims!r} spatial dimensions{reason}", f"it has {listing(possible)}"
        )
    for what, width in widths.items():
        if width is None:
            raise AttnzooError(f"`{block}` hears the decoder, and {what} is not given", f"give {what}, a width")
        if type(width) is not int or width < 1:
            raise AttnzooError(f"`{block}` cannot have {what}={width!r}", "a width is a whole number from 1 up")


def fits(value: object, annotation: Any) -> bool:
    """Whether a value is of a type: an integer serves as a float; a boolean is no number."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return any(fits(value, choice) for choice in inside)
    if origin is Literal:
        return any(type(value) is type(choice) and value == choice for choice in inside)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        each = inside[:1] * len(value) if inside[-1] is Ellipsis else inside
        return len(value) == len(each) and all(map(fits, value, each))
    return type(value) is annotation or (annotation is float and type(value) is int)


def words(annotation: Any) -> str:
    """What an annotation admits, in words."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return " or ".join(map(words, inside))
    if origin is Literal:
        return " or ".join(map(spec.spell, inside))
    if origin is tuple:
        return f"({words(inside[0])}, …)" if inside[-1] is Ellipsis else f"({', '.join(map(words, inside))})"
    return _PLAIN[annotation]


def _said(value: Any) -> str:
    """A value as it is spelt, or as Python writes what cannot be."""
    return spec.spell(value) if _spellable(value) else repr(value)


def _spellable(value: Any) -> bool:
    try:
        spec.spell(value)
    except AttnzooError:
        return False
    return True


def _known(annotation: Any) -> bool:
    """Whether values of this type can be spelt."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType, tuple):
        return bool(inside) and all(_known(part) for part in inside if part is not Ellipsis)
    return all(map(_spellable, inside)) if origin is Literal else annotation in _PLAIN


def _choices(annotation: Any) -> tuple[spec.Value, ...]:
    """The values that are listed one by one."""
    if get_origin(annotation) in (Union, UnionType):
        return tuple(choice for part in get_args(annotation) for choice in _choices(part))
    return get_args(annotation) if get_origin(annotation) is Literal else ()
