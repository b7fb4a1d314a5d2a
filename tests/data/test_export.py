"""Masks as files: to look at, and to be read back."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from attnzoo import palette
from attnzoo.data import mask, open_dataset
from attnzoo.data.export import write_masks
from attnzoo.errors import AttnzooError

pytestmark = pytest.mark.usefixtures("cache")

SMALL = {"segmentation": [[3, 3, 5, 3, 5, 5, 3, 5]], "category_id": 7}
CROWD = {"segmentation": [[8, 8, 10, 8, 10, 10, 8, 10]], "iscrowd": 1}


def refused(dataset: Any, folder: Path, message: str, hint: str) -> None:
    with pytest.raises(AttnzooError) as caught:
        write_masks(dataset, folder)
    assert caught.value.message == message
    assert caught.value.hint == hint


def test_masks_can_be_looked_at(export: Any, tmp_path: Path) -> None:
    dataset = open_dataset(export([{}, SMALL, CROWD], ["deep/a.rf.0.png"]))
    out = write_masks(dataset, tmp_path / "out")
    with Image.open(out / "train/masks/deep/a.rf.0.png") as picture:
        assert picture.mode == "P"
        colours = np.array(picture.convert("RGB"))
        assert (np.array(picture) == mask(dataset, dataset.splits["train"].samples[0])).all()
    seen = [tuple(colours[row, column]) for row, column in ((0, 0), (2, 2), (3, 3), (8, 8))]
    assert seen == [palette.colour(index) for index in (0, 1, 2, 255)]
    legend = json.loads((out / "classes.json").read_text())
    assert [entry["name"] for entry in legend["classes"]] == ["background", "disc", "bar"]
    assert legend["category_ids"] == {"1": 1, "7": 2}


def test_with_the_images_they_are_a_data_set(export: Any, tmp_path: Path) -> None:
    export([SMALL, CROWD], ["a.png", "b.png"])
    root = export(split="val")
    dataset = open_dataset(root)
    out = write_masks(dataset, tmp_path / "out")
    for split in dataset.splits.values():
        for sample in split.samples:
            (out / split.name / "images").mkdir(exist_ok=True)
            shutil.copy(sample.image, out / split.name / "images")
    again = open_dataset(out)
    assert (again.format, again.classes) == ("folders", dataset.classes)
    for name, split in dataset.splits.items():
        for old, new in zip(split.samples, again.splits[name].samples, strict=True):
            assert (mask(dataset, old) == mask(again, new)).all()


def test_an_export_can_be_repeated(export: Any, tmp_path: Path) -> None:
    dataset = open_dataset(export())
    out = write_masks(dataset, tmp_path / "out")
    (out / "train/masks/a.png").unlink()  # as if it had been interrupted
    write_masks(dataset, out)
    assert (out / "train/masks/a.png").is_file()


def test_a_folder_of_other_things_is_refused(export: Any, tmp_path: Path) -> None:
    dataset = open_dataset(export())
    out = tmp_path / "out"
    out.mkdir()
    for text in ("{}", "[]", "no"):
        (out / "classes.json").write_text(text)
        refused(dataset, out, f"`{out}` is not empty, and not an export of masks", "give a new folder")
    (out / "classes.json").unlink()
    (out / "thesis.tex").write_text("")
    refused(dataset, out, f"`{out}` is not empty, and not an export of masks", "give a new folder")
    refused(dataset, out / "thesis.tex", f"`{out / 'thesis.tex'}` is not a folder", "give a new folder")


def test_masks_of_other_data_are_not_overwritten(export: Any, tmp_path: Path) -> None:
    first = open_dataset(export())
    out = write_masks(first, tmp_path / "out")
    second = open_dataset(export([SMALL]))
    message = f"`{out}` holds the masks of other data (digest {first.digest[:12]}, not {second.digest[:12]})"
    refused(second, out, message, "delete it, or give a new folder")


def test_two_images_of_one_mask_are_refused_before_anything_is_written(export: Any, tmp_path: Path) -> None:
    dataset = open_dataset(export(images=["a.png", "a.jpg"]))
    message = "`a.jpg` and `a.png` in train would have the same mask file"
    refused(dataset, tmp_path / "out", message, "rename one of them")
    assert not (tmp_path / "out").exists()
