"""The layouts that are recognised, and what is said of others."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from attnzoo.data import Dataset, open_dataset
from attnzoo.errors import AttnzooError


def sizes(dataset: Dataset) -> dict[str, int]:
    return {name: len(split.samples) for name, split in dataset.splits.items()}


def refused(root: Path, message: str, hint: str) -> None:
    with pytest.raises(AttnzooError) as caught:
        open_dataset(root)
    assert caught.value.message == message
    assert caught.value.hint == hint


@pytest.mark.parametrize("valid", ["valid", "val", "validation"])
def test_roboflow(export: Any, valid: str) -> None:
    for split in ("train", valid, "test"):
        root = export(split=split)
    dataset = open_dataset(root)
    assert dataset.format == "roboflow"
    assert sizes(dataset) == {"train": 1, "valid": 1, "test": 1}


def test_a_missing_split_is_no_mistake_here(export: Any) -> None:
    assert sizes(open_dataset(export(split="test"))) == {"test": 1}


def test_two_folders_for_one_split_are_refused(export: Any) -> None:
    export(split="val")
    root = export(split="valid")
    message = f"`{root}` has `valid` and `val`, which name the same split"
    refused(root, message, "leave one of them there")


@pytest.mark.parametrize(
    ("file", "folder"),
    [
        ("annotations/instances_{}2017.json", "{}2017"),
        ("annotations/instances_{}2017.json", "images/{}2017"),
        ("{}.json", "{}"),
        ("{}.json", "images/{}"),
        ("annotations/{}.json", "images"),
        ("{}_coco.json", "{}"),
    ],
)
def test_plain_coco(export: Any, tmp_path: Path, file: str, folder: str) -> None:
    root = tmp_path / "set"
    for split in ("train", "val"):
        export(images=[f"{split}.png"], split=split, file=root / file.format(split), folder=root / folder.format(split))
    (root / "README.json").write_text("{}")
    dataset = open_dataset(root)
    assert dataset.format == "coco"
    assert sizes(dataset) == {"train": 1, "valid": 1}


def test_coco_s_other_annotations_are_passed_over(export: Any, tmp_path: Path) -> None:
    root = tmp_path / "set"
    export(file=root / "annotations/instances_train2017.json", folder=root / "train2017")
    for other in ("captions", "person_keypoints", "panoptic", "my"):
        (root / f"annotations/{other}_train2017.json").write_text("{}")
    assert sizes(open_dataset(root)) == {"train": 1}


def test_two_files_for_one_split_are_refused(export: Any, tmp_path: Path) -> None:
    root = tmp_path / "set"
    export(file=root / "train.json", folder=root / "train")
    shutil.copy(root / "train.json", root / "my_train.json")
    message = f"`{root}` has several annotation files for train: `my_train.json` and `train.json`"
    refused(root, message, "leave one of them there")


def test_a_file_without_its_images_is_told(export: Any, tmp_path: Path) -> None:
    root = tmp_path / "set"
    export(file=root / "train2017.json", folder=root / "pictures")
    message = f"`{root / 'train2017.json'}` has no folder of images beside it"
    refused(root, message, "looked for `train2017`, `train` or `training`, also under `images`")


@pytest.mark.parametrize(("file", "folder"), [("all.json", "images"), ("_annotations.coco.json", "."), ("a.json", ".")])
def test_one_coco_file_is_dealt_into_splits(export: Any, tmp_path: Path, file: str, folder: str) -> None:
    root = tmp_path / "set"
    export([], [f"{number}.png" for number in range(20)], file=root / file, folder=root / folder)
    dataset = open_dataset(root)
    assert dataset.format == "coco"
    assert sizes(dataset) == {"train": 14, "valid": 3, "test": 3}
    note = next(finding for finding in dataset.findings if finding.kind == "drawn-splits")
    assert note.message == "images in one piece, dealt into train, valid and test by group with seed 0: 20"


def masks(root: Path, images: str, drawn: str, count: int = 1) -> None:
    for number in range(count):
        for folder in (images, drawn):
            (root / folder).mkdir(parents=True, exist_ok=True)
            pixels = np.zeros((10, 12), dtype=np.uint8)
            pixels[number % 10, :] = 1
            Image.fromarray(pixels).save(root / folder / f"{number}.png")


@pytest.mark.parametrize("pattern", ["{}/images {}/masks", "images/{} masks/{}"])
def test_folders(tmp_path: Path, pattern: str) -> None:
    for number, split in enumerate(("train", "val", "test")):
        masks(tmp_path, *(part.format(split) for part in pattern.split()), count=1)
        picture = next((tmp_path / pattern.split()[0].format(split)).glob("*.png"))
        Image.fromarray(np.full((10, 12), number, dtype=np.uint8)).save(picture)
    (tmp_path / "masks_as_png").mkdir()
    dataset = open_dataset(tmp_path)
    assert dataset.format == "folders"
    assert sizes(dataset) == {"train": 1, "valid": 1, "test": 1}


def test_one_pair_of_folders_is_dealt_into_splits(tmp_path: Path) -> None:
    masks(tmp_path, "images", "masks", 10)
    (tmp_path / "classes.json").write_text("{}")  # as our own export of masks has one
    dataset = open_dataset(tmp_path)
    assert dataset.format == "folders"
    assert sum(sizes(dataset).values()) == 10
    assert set(sizes(dataset)) == {"train", "valid", "test"}


def test_folders_of_source_masks_are_passed_over(export: Any) -> None:
    root = export()
    (root / "_source_masks/train").mkdir(parents=True)
    Image.fromarray(np.zeros((10, 12), dtype=np.uint8)).save(root / "_source_masks/train/a.png")
    assert sizes(open_dataset(root)) == {"train": 1}
    assert not [finding for finding in open_dataset(root).findings if finding.kind == "unlisted"]


def test_no_folder_is_told(tmp_path: Path) -> None:
    refused(tmp_path / "gone", f"`{tmp_path / 'gone'}` is not a folder", "give the folder that holds the data set")


def test_an_unknown_layout_shows_what_is_there_and_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "notes.txt").write_text("")
    hint = (
        "looked for train/_annotations.coco.json (Roboflow), train.json or annotations/instances_train2017.json with "
        "a folder of images (COCO), train/images with train/masks, or images/train with masks/train"
    )
    message = f"`{tmp_path}` holds no data set that attnzoo knows; it holds notes.txt, pictures/"
    refused(tmp_path, message, hint)
    for number in range(20):
        (tmp_path / f"{number:02}").mkdir()
    with pytest.raises(AttnzooError, match=re.escape("10/, 11/, …")):
        open_dataset(tmp_path)


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(AttnzooError, match="holds no data set that attnzoo knows; it holds nothing"):
        open_dataset(tmp_path)


def test_one_folder_too_high_is_told(export: Any) -> None:
    root = export()
    message = f"`{root.parent}` holds no data set that attnzoo knows; it holds set/"
    refused(root.parent, message, f"did you mean `{root}`?")


def test_the_json_of_a_split_is_read_by_its_own_words(export: Any, tmp_path: Path) -> None:
    """`contrain.json` is no training split."""
    root = tmp_path / "set"
    export([], [f"{number}.png" for number in range(5)], file=root / "contrain.json", folder=root / "images")
    assert set(sizes(open_dataset(root))) == {"train", "valid", "test"}
    assert json.loads((root / "contrain.json").read_text())["images"]
