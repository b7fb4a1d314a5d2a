"""Dataclasses from TOML tables, every value checked against its annotation. Knows no recipe and no torch."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from attnzoo.errors import AttnzooError, did_you_mean, listing

Section = TypeVar("Section")


def known(word: str, candidates: Iterable[str], owner: str, what: str) -> None:
    """Refuse a word that is none of the candidates: "`[data]` has no field `windw`"."""
    words = sorted(candidates)
    if word not in words:
        raise AttnzooError(
            f"{owner} has no {what} `{word}`", did_you_mean(word, words) or f"it has {listing(words, last='and')}"
        )


def build(kind: type[Section], values: Mapping[str, Any], path: str = "") -> Section:
    """Build a dataclass from a table; `path` is how messages call it.

    Raises:
        AttnzooError: For an unknown or missing field, or a value that its annotation does not admit.
    """
    if not isinstance(values, Mapping):
        raise AttnzooError(f"`{path}` must be a table, not `{values}`", f"write a section [{path}]")
    owner = f"`[{path}]`" if path else "a recipe"
    hints = get_type_hints(kind)
    for option in values:
        known(option, hints, owner, "field")
    required = [
        field.name
        for field in fields(kind)  # type: ignore[arg-type]
        if field.default is MISSING and field.default_factory is MISSING
    ]
    if missing := [name for name in required if name not in values]:
        raise AttnzooError(
            f"{owner} lacks {listing(missing, last='and')}", "add what is missing, or leave the section out"
        )
    return kind(
        **{option: value(hints[option], given, f"{path}.{option}".lstrip(".")) for option, given in values.items()}
    )


def value(hint: Any, given: Any, path: str) -> Any:
    """A plain value as its annotation wants it, or an error that says what would be possible."""
    for choice in _choices(hint):
        if choice is type(None) and given is None:
            return None
        if is_dataclass(choice) and isinstance(choice, type):
            return given if isinstance(given, choice) else build(choice, given, path)
        if get_origin(choice) is Literal and given in get_args(choice) and type(given) in map(type, get_args(choice)):
            return given
        if get_origin(choice) is tuple and (items := _items(get_args(choice), given)) is not None:
            return tuple(value(get_args(choice)[0], item, path) for item in items)
        if choice in (int, float, str, bool) and _is(choice, given):
            return choice(given)
    raise AttnzooError(f"`{path}` cannot be `{given}`", f"possible: {possible(hint)}")


def possible(hint: Any) -> str:
    """What an annotation admits, in words."""
    if get_origin(hint) in (Union, UnionType):
        return ", or ".join(possible(choice) for choice in _choices(hint) if choice is not type(None))
    if get_origin(hint) is Literal:
        return listing(get_args(hint))
    if get_origin(hint) is tuple:
        items = get_args(hint)
        return (
            f"a list of {possible(items[0])}s"
            if items[-1] is Ellipsis
            else f"{possible(items[0])}, or a list of {len(items)}"
        )
    return {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}.get(hint, "a table")


def _choices(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _items(kinds: tuple[Any, ...], given: Any) -> list[Any] | None:
    """The items of a list; one number stands for all of a fixed length (a square's side); None for a wrong length."""
    if kinds[-1] is Ellipsis:
        return list(given) if isinstance(given, list | tuple) else None
    if _is(kinds[0], given):
        return [given] * len(kinds)
    return list(given) if isinstance(given, list | tuple) and len(given) == len(kinds) else None


def _is(kind: Any, given: Any) -> bool:
    """Whether a value is of a plain type: an integer that fits serves as a float; a boolean, nan and inf never do."""
    if kind is float:
        return isinstance(given, int | float) and not isinstance(given, bool) and abs(given) <= sys.float_info.max
    return type(given) is kind
