"""Ids become indices by id; names decide nothing."""

import re
from pathlib import Path
from typing import Any

import pytest

from attnzoo.data import open_dataset
from attnzoo.errors import AttnzooError


def classes(root: Path) -> tuple[tuple[str, ...], dict[int, int]]:
    dataset = open_dataset(root)
    return dataset.classes, dict(dataset.category_ids)


def dummy(name: str, group: str = "none") -> dict[str, Any]:
    return {"id": 0, "name": name, "supercategory": group}


DISC, BAR = {"id": 1, "name": "disc"}, {"id": 7, "name": "bar"}


@pytest.mark.parametrize("name", ["things", "disc"])
def test_the_unused_dummy_is_dropped_with_a_note(export: Any, name: str) -> None:
    dataset = open_dataset(export(categories=[dummy(name), DISC, BAR]))
    assert dataset.classes == ("background", "disc", "bar")
    assert dict(dataset.category_ids) == {1: 1, 7: 2}
    note = next(finding for finding in dataset.findings if finding.kind == "dummy-category")
    assert note.level == "note"
    assert note.message == "categories with id 0 that no annotation uses and are dropped: 1"
    assert note.examples == (f"category 0 `{name}`",)


def test_a_category_0_that_is_used_is_a_class(export: Any) -> None:
    root = export([{"category_id": 0}], categories=[dummy("things"), DISC])
    assert classes(root) == (("background", "things", "disc"), {0: 1, 1: 2})


def test_an_unused_category_0_with_a_supercategory_is_a_class(export: Any) -> None:
    assert classes(export(categories=[dummy("cat", "animal"), DISC]))[1] == {0: 1, 1: 2}


def test_a_category_0_called_background_is_ours(export: Any) -> None:
    assert classes(export(categories=[dummy("Background", ""), DISC])) == (("background", "disc"), {1: 1})


def test_the_order_in_the_file_does_not_matter(export: Any) -> None:
    assert classes(export(categories=[BAR, DISC])) == (("background", "disc", "bar"), {1: 1, 7: 2})


@pytest.mark.parametrize(
    ("categories", "message", "hint"),
    [
        (
            [DISC, {"id": 2, "name": "disc"}],
            "names both category 1 and 2 `disc`",
            "give every category a name of its own",
        ),
        (
            [DISC, {"id": 2, "name": "Background"}],
            "has a category `Background`; background is what no annotation covers",
            "rename the category, or remove it with its annotations",
        ),
        (
            [{"id": number, "name": str(number)} for number in range(1, 256)],
            "lists 255 categories; masks of 8 bits hold 254",
            "merge categories",
        ),
    ],
)
def test_impossible_categories_are_refused(export: Any, categories: list[Any], message: str, hint: str) -> None:
    root = export(categories=categories)
    with pytest.raises(AttnzooError) as caught:
        open_dataset(root)
    assert caught.value.message == f"`{root / 'train/_annotations.coco.json'}` {message}"
    assert caught.value.hint == hint


def test_no_category_at_all_is_refused(export: Any) -> None:
    with pytest.raises(AttnzooError, match="lists no category to segment") as caught:
        open_dataset(export([], categories=[dummy("things")]))
    assert caught.value.hint == "annotate at least one class, and export again"


@pytest.mark.parametrize(("other", "word"), [([DISC], "absent"), ([DISC, {"id": 7, "name": "rod"}], "rod")])
def test_categories_that_differ_between_splits_are_refused(export: Any, other: list[Any], word: str) -> None:
    export(categories=[DISC, BAR])
    root = export(categories=other, split="test")
    with pytest.raises(AttnzooError, match=re.escape("category `7` is `bar` in")) as caught:
        open_dataset(root)
    assert caught.value.message.endswith(f"and `{word}` in `{root / 'test/_annotations.coco.json'}`")
    assert caught.value.hint == "export all splits from the same version of the project"
