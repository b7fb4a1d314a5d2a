"""Images are found where they lie, and nothing outside the data set is read."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from attnzoo.data import open_dataset
from attnzoo.errors import AttnzooError
from attnzoo.recipe import Data


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("../secret.png", "leads out of its folder"),
        ("a/../../secret.png", "leads out of its folder"),
        ("/etc/secret.png", "is absolute"),
        ("C:/secret.png", "is absolute"),
        ("..\\secret.png", "has a backslash in it"),
    ],
)
@pytest.mark.parametrize("unusable", ["error", "skip"])
def test_names_that_lead_out_are_refused(export: Any, name: str, problem: str, unusable: Any) -> None:
    root = export(images=[name, "b.png"])
    shutil.copy(root / "train/b.png", root / "secret.png")
    with pytest.raises(AttnzooError) as caught:
        open_dataset(root, Data(unusable=unusable))
    path = root / "train/_annotations.coco.json"
    assert caught.value.message == f"`{path}` has the file name {name!r}, which {problem}"
    assert caught.value.hint == "file names are relative to the split's folder"


def test_a_name_with_nul_is_refused(export: Any) -> None:
    root = export(images=["a.png\0.txt"])
    with pytest.raises(AttnzooError, match=r"whose `file_name` is 'a.png\\x00.txt', not a plain text"):
        open_dataset(root)


BYTES = os.fsdecode(b"sc\xffan.png")  # as Python reads a name that is not UTF-8


@pytest.fixture
def named(export: Any) -> Path:
    """A data set with an image of such a name, which its annotations do not list."""
    root = export()
    try:
        shutil.copy(root / "train/a.png", root / "train" / BYTES)
    except OSError:
        pytest.skip("this file system takes names in UTF-8 alone")
    return Path(root)


def test_a_name_that_is_not_utf_8_is_refused_when_the_data_are_opened(named: Path) -> None:
    with pytest.raises(AttnzooError) as caught:
        open_dataset(named)
    shown = str(named / "train/sc\\xffan.png")
    assert caught.value.message == f"`{shown}` is not a name in UTF-8, so no table of scores could hold it"
    assert caught.value.hint == "rename the file, or the folder that is named so"


@pytest.mark.parametrize("part", ["images", "masks"])
def test_so_it_is_in_folders_of_images_and_masks(named: Path, part: str, tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        (tmp_path / "plain/train" / folder).mkdir(parents=True)
        Image.fromarray(np.ones((10, 12), np.uint8)).save(tmp_path / "plain/train" / folder / "a.png")
    shutil.copy(named / "train" / BYTES, tmp_path / "plain/train" / part)
    with pytest.raises(AttnzooError, match="is not a name in UTF-8"):
        open_dataset(tmp_path / "plain")


def test_annotations_with_such_a_name_are_refused(export: Any) -> None:
    root = export()
    path = root / "train/_annotations.coco.json"
    path.write_text(path.read_text().replace("a.png", r"sc\udcffan.png"))
    with pytest.raises(AttnzooError) as caught:
        open_dataset(root)
    assert caught.value.message == (
        f"`{path}` has an entry of `images` whose `file_name` is 'sc\\udcffan.png', which UTF-8 cannot spell"
    )
    assert caught.value.hint == "rename it, and export the data set again"


def test_links_out_of_the_data_set_are_refused(export: Any, tmp_path: Path) -> None:
    root = export()
    secret = shutil.move(root / "train/a.png", tmp_path / "secret.png")
    (root / "train/a.png").symlink_to(secret)
    with pytest.raises(AttnzooError) as caught:
        open_dataset(root)
    assert caught.value.message == f"`{root / 'train/a.png'}` is a link out of the data set"
    assert caught.value.hint == "copy the file into the data set"


def test_a_linked_folder_of_images_is_refused(export: Any, tmp_path: Path) -> None:
    root = export(images=["images/a.png"])
    moved = shutil.move(root / "train/images", tmp_path / "elsewhere")
    (root / "train/images").symlink_to(moved)
    with pytest.raises(AttnzooError, match="is a link out of the data set"):
        open_dataset(root)


def test_links_within_the_data_set_and_to_it_are_followed(export: Any, tmp_path: Path) -> None:
    root = export()
    shutil.move(root / "train/a.png", root / "pool.png")
    (root / "train/a.png").symlink_to(root / "pool.png")
    (tmp_path / "link").symlink_to(root)
    assert open_dataset(tmp_path / "link").digest == open_dataset(root).digest


def test_images_in_a_subfolder_are_found(export: Any) -> None:
    root = export(images=["a.png", "b.png"])
    (root / "train/images/deep").mkdir(parents=True)
    shutil.move(root / "train/b.png", root / "train/images/deep/b.png")
    samples = open_dataset(root).splits["train"].samples
    assert [sample.name for sample in samples] == ["a.png", "b.png"]
    assert samples[1].image == root / "train/images/deep/b.png"


def test_an_ambiguous_name_is_refused(export: Any) -> None:
    root = export()
    for folder in ("one", "two"):
        (root / "train" / folder).mkdir()
        shutil.copy(root / "train/a.png", root / "train" / folder)
    (root / "train/a.png").unlink()
    with pytest.raises(AttnzooError) as caught:
        open_dataset(root)
    path = root / "train/_annotations.coco.json"
    assert caught.value.message == f"`a.png` in `{path}` may be `one/a.png` or `two/a.png`"
    assert caught.value.hint == "write the folder into file_name"


def test_a_missing_image_is_an_error_or_dropped(export: Any) -> None:
    root = export(images=["a.png", "b.png"])
    (root / "train/b.png").unlink()
    with pytest.raises(AttnzooError) as caught:
        open_dataset(root)
    assert caught.value.message == f"`b.png` in `{root / 'train/_annotations.coco.json'}` is missing"
    assert caught.value.hint == 'mend it, or drop such images by `data.unusable = "skip"`'
    dataset = open_dataset(root, Data(unusable="skip"))
    assert [sample.name for sample in dataset.splits["train"].samples] == ["a.png"]
    assert [
        (finding.kind, finding.level, finding.count) for finding in dataset.findings if "image" in finding.kind
    ] == [("unusable-image", "warning", 1)]


def test_files_that_are_not_listed_are_noted(export: Any) -> None:
    root = export()
    shutil.copy(root / "train/a.png", root / "train/extra.png")
    (root / "train/.hidden.png").write_bytes(b"")
    note = next(finding for finding in open_dataset(root).findings if finding.kind == "unlisted")
    assert (note.count, note.examples, note.split) == (1, ("extra.png",), "train")


def test_names_are_sorted_whatever_the_order_of_the_file(export: Any) -> None:
    root = export(images=["b.png", "a.png"])
    assert [sample.name for sample in open_dataset(root).splits["train"].samples] == ["a.png", "b.png"]
    assert json.loads((root / "train/_annotations.coco.json").read_text())["images"][0]["file_name"] == "b.png"
