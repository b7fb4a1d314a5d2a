"""The ids and the form of a COCO file."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from attnzoo.data.coco.read import read
from attnzoo.errors import AttnzooError


def coco(path: Path, **changes: Any) -> Path:
    table = {
        "images": [{"id": 3, "file_name": "a.png", "height": 10, "width": 12}],
        "categories": [{"id": 1, "name": "disc"}],
        "annotations": [{"id": 5, "image_id": 3, "category_id": 1}],
    }
    path.write_text(json.dumps({**table, **changes}))
    return path


def refused(path: Path, message: str, hint: str = "export the data set again") -> None:
    with pytest.raises(AttnzooError) as caught:
        read(path)
    assert caught.value.message == message.replace("FILE", f"`{path}`")
    assert caught.value.hint == hint


def test_reads_what_is_there(tmp_path: Path) -> None:
    file = read(coco(tmp_path / "c.json"))
    assert [(listed.id, listed.file_name, listed.size) for listed in file.images] == [(3, "a.png", (10, 12))]
    assert file.categories[0].name == "disc"
    assert [entry["id"] for entry in file.annotations[3]] == [5]


@pytest.mark.parametrize(
    ("table", "field", "entries"),
    [
        ("images", "id", [{"id": 3, "file_name": "a.png"}, {"id": 3, "file_name": "b.png"}]),
        ("categories", "id", [{"id": 1, "name": "disc"}, {"id": 1, "name": "bar"}]),
        ("annotations", "id", [{"id": 5, "image_id": 3, "category_id": 1}] * 2),
    ],
)
def test_double_ids_are_refused(tmp_path: Path, table: str, field: str, entries: list[dict[str, Any]]) -> None:
    path = coco(tmp_path / "c.json", **{table: entries})
    hint = "export the data set again, or remove one of them"
    refused(path, f"FILE has `{field}` `{entries[0][field]}` twice in `{table}`", hint)


def test_a_file_listed_twice_is_refused(tmp_path: Path) -> None:
    path = coco(tmp_path / "c.json", images=[{"id": 3, "file_name": "a.png"}, {"id": 4, "file_name": "a.png"}])
    refused(path, "FILE has `file_name` `a.png` twice in `images`", "export the data set again, or remove one of them")


@pytest.mark.parametrize(("field", "what"), [("image_id", "belongs to image"), ("category_id", "has category")])
def test_dangling_annotations_are_refused(tmp_path: Path, field: str, what: str) -> None:
    path = coco(tmp_path / "c.json", annotations=[{"id": 5, "image_id": 3, "category_id": 1, field: 9}])
    message = f"annotation `5` in FILE {what} `9`, which is not listed"
    refused(path, message, "export the data set again, or remove the annotation")


@pytest.mark.parametrize("value", [None, "5", True, 5.5])
@pytest.mark.parametrize("field", ["id", "image_id", "category_id"])
def test_ids_are_whole_numbers(tmp_path: Path, field: str, value: Any) -> None:
    path = coco(tmp_path / "c.json", annotations=[{"id": 5, "image_id": 3, "category_id": 1, field: value}])
    refused(path, f"FILE has an entry of `annotations` whose `{field}` is `{value}`, not a whole number")


@pytest.mark.parametrize("value", [None, "", 5, "a\x1b[2J"])
def test_names_are_plain_texts(tmp_path: Path, value: Any) -> None:
    path = coco(tmp_path / "c.json", categories=[{"id": 1, "name": value}])
    refused(path, f"FILE has an entry of `categories` whose `name` is {value!r}, not a plain text")


def test_a_file_name_with_nul_is_refused(tmp_path: Path) -> None:
    path = coco(tmp_path / "c.json", images=[{"id": 3, "file_name": "a\0.png"}])
    refused(path, r"FILE has an entry of `images` whose `file_name` is 'a\x00.png', not a plain text")


@pytest.mark.parametrize(
    ("size", "seen"),
    [
        ({"height": 10, "width": 12}, (10, 12)),
        ({"height": 10.0, "width": 12.0}, (10, 12)),
        ({"height": 10.5, "width": 12}, None),
        ({"width": 12}, None),
        ({"height": "10", "width": 12}, None),
        ({"height": 0, "width": 12}, None),
    ],
)
def test_only_whole_sizes_count(tmp_path: Path, size: dict[str, Any], seen: tuple[int, int] | None) -> None:
    assert read(coco(tmp_path / "c.json", images=[{"id": 3, "file_name": "a", **size}])).images[0].size == seen


def test_an_lfs_pointer_is_told(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n")
    refused(path, "FILE is a Git LFS pointer, not the file itself", "fetch the files: git lfs pull")


@pytest.mark.parametrize("text", ["{", "\xff", "[" * 100_000])
def test_what_is_not_json_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(AttnzooError, match=re.escape(f"`{path}` is not JSON: ")):
        read(path)


def test_what_is_not_coco_is_told(tmp_path: Path) -> None:
    hint = "a COCO file is an object with `images`, `annotations` and `categories`"
    path = tmp_path / "c.json"
    path.write_text("[1]")
    refused(path, "FILE is not a COCO file: it holds a list, not an object", hint)
    for missing in ("images", "annotations", "categories"):
        refused(coco(path, **{missing: [1]}), f"FILE is not a COCO file: it has no list of objects `{missing}`", hint)
