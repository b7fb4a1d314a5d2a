"""A COCO file → its categories, images and annotations, with every id sound. Geometry is left to `outlines`."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from attnzoo.data.content import read_bytes
from attnzoo.errors import AttnzooError

_AGAIN = "export the data set again"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # NUL ends a path early, and ESC steers terminals
_SURROGATE = re.compile(r"[\ud800-\udfff]")  # half a character: no file can be written with it


@dataclass(frozen=True)
class Category:
    """One entry of `categories`."""

    id: int
    name: str
    group: str


@dataclass(frozen=True)
class Listed:
    """One entry of `images`; the size is None where the file gives none that is a whole number."""

    id: int
    file_name: str
    size: tuple[int, int] | None


@dataclass(frozen=True)
class File:
    """A COCO file. `annotations` maps an image's id to its raw annotations, whose ids are whole and known."""

    path: Path
    digest: str
    categories: tuple[Category, ...]
    images: tuple[Listed, ...]
    annotations: Mapping[int, tuple[Mapping[str, Any], ...]]


def read(path: Path) -> File:
    """Read and cross-check one file.

    Raises:
        AttnzooError: Not a COCO file; ids missing, doubled or dangling; a file name listed twice.
    """
    data = read_bytes(path)
    table = _parse(path, data)
    categories = tuple(_category(path, entry) for entry in _list(path, table, "categories"))
    images = tuple(_listed(path, entry) for entry in _list(path, table, "images"))
    annotations = _list(path, table, "annotations")
    _unique(path, "categories", "id", [category.id for category in categories])
    _unique(path, "images", "id", [listed.id for listed in images])
    _unique(path, "images", "file_name", [listed.file_name for listed in images])
    _unique(path, "annotations", "id", [_id(path, "annotations", entry, "id") for entry in annotations])
    return File(
        path, hashlib.sha256(data).hexdigest(), categories, images, _by_image(path, categories, images, annotations)
    )


def _parse(path: Path, data: bytes) -> dict[str, Any]:
    try:
        table = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise AttnzooError(f"`{path}` is not JSON: {error}", _AGAIN) from error
    if not isinstance(table, dict):
        raise AttnzooError(
            f"`{path}` is not a COCO file: it holds a {type(table).__name__}, not an object",
            "a COCO file is an object with `images`, `annotations` and `categories`",
        )
    return table


def _list(path: Path, table: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    entries = table.get(name)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise AttnzooError(
            f"`{path}` is not a COCO file: it has no list of objects `{name}`",
            "a COCO file is an object with `images`, `annotations` and `categories`",
        )
    return entries


def _by_image(
    path: Path, categories: tuple[Category, ...], images: tuple[Listed, ...], annotations: list[dict[str, Any]]
) -> dict[int, tuple[dict[str, Any], ...]]:
    grouped: dict[int, list[dict[str, Any]]] = {listed.id: [] for listed in images}
    known = {category.id for category in categories}
    for entry in annotations:
        image_id, category_id = (_id(path, "annotations", entry, field) for field in ("image_id", "category_id"))
        if image_id not in grouped:
            raise AttnzooError(
                f"annotation `{entry['id']}` in `{path}` belongs to image `{image_id}`, which is not listed",
                "export the data set again, or remove the annotation",
            )
        if category_id not in known:
            raise AttnzooError(
                f"annotation `{entry['id']}` in `{path}` has category `{category_id}`, which is not listed",
                "export the data set again, or remove the annotation",
            )
        grouped[image_id].append(entry)
    return {image_id: tuple(entries) for image_id, entries in grouped.items()}


def _category(path: Path, entry: Mapping[str, Any]) -> Category:
    return Category(
        _id(path, "categories", entry, "id"),
        _text(path, "categories", entry, "name"),
        str(entry.get("supercategory", "")),
    )


def _listed(path: Path, entry: Mapping[str, Any]) -> Listed:
    height, width = entry.get("height"), entry.get("width")
    size = (int(height), int(width)) if _whole(height) and _whole(width) and height > 0 and width > 0 else None
    return Listed(_id(path, "images", entry, "id"), _text(path, "images", entry, "file_name"), size)


def _id(path: Path, table: str, entry: Mapping[str, Any], field: str) -> int:
    if not _whole(value := entry.get(field)):
        raise AttnzooError(
            f"`{path}` has an entry of `{table}` whose `{field}` is `{value}`, not a whole number", _AGAIN
        )
    return int(value)


def _text(path: Path, table: str, entry: Mapping[str, Any], field: str) -> str:
    value = entry.get(field)
    if not isinstance(value, str) or not value.strip() or _CONTROL.search(value):
        raise AttnzooError(f"`{path}` has an entry of `{table}` whose `{field}` is {value!r}, not a plain text", _AGAIN)
    if _SURROGATE.search(value):
        raise AttnzooError(
            f"`{path}` has an entry of `{table}` whose `{field}` is {value!r}, which UTF-8 cannot spell",
            f"rename it, and {_AGAIN}",
        )
    return value


def _unique(path: Path, table: str, field: str, values: list[Any]) -> None:
    seen: set[Any] = set()
    for value in values:
        if value in seen:
            raise AttnzooError(
                f"`{path}` has `{field}` `{value}` twice in `{table}`",
                "export the data set again, or remove one of them",
            )
        seen.add(value)


def _whole(value: Any) -> TypeGuard[int | float]:
    """Whether a JSON value is a whole number; 512.0 is, true is not."""
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())
