"""Opening a data set, from outside: sizes, EXIF, findings, the digest."""

import json
import pickle
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from attnzoo.data import image, mask, open_dataset, probe
from attnzoo.errors import AttnzooError
from attnzoo.recipe import Data

SKIP = Data(unusable="skip")


def kinds(dataset: Any) -> dict[str, int]:
    return {finding.kind: finding.count for finding in dataset.findings if finding.kind != "dummy-category"}


def turned(root: Path, orientation: int = 6, height: int = 10, width: int = 12) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.arange(height * width, dtype=np.uint8).reshape(height, width)
    Image.fromarray(pixels).save(root / "train/a.png", exif=exif)
    return root


def test_a_sample_is_what_the_files_say(export: Any, cache: Path) -> None:
    dataset = open_dataset(export([{}, {"category_id": 7}], ["a.png", "b.png"]))
    first, second = dataset.splits["train"].samples
    assert (first.name, first.group, first.height, first.width) == ("a.png", "a", 10, 12)
    assert [(annotation.id, annotation.label) for annotation in first.annotations] == [(0, 1), (1, 2)]
    assert image(first).shape == mask(dataset, first).shape == (10, 12)
    assert kinds(dataset) == {"no-annotation": 1}
    assert mask(dataset, second).max() == 0
    assert pickle.loads(pickle.dumps(dataset)) == dataset


def test_a_class_named_as_all_classes_together_is_refused(export: Any) -> None:
    root = export(categories=[{"id": 1, "name": "all"}])
    with pytest.raises(AttnzooError) as caught:
        open_dataset(root)
    assert caught.value.message == f"`{root}` has a class `all`, which is what `scores.csv` calls all classes together"
    assert caught.value.hint == "rename the class"


@pytest.mark.parametrize("size", [{"height": None}, {"width": None}, {"height": 10.5}])
def test_a_size_that_is_missing_is_read_from_the_image(export: Any, size: dict[str, Any]) -> None:
    dataset = open_dataset(export(images=[{"file_name": "a.png", **size}]))
    assert (dataset.splits["train"].samples[0].height, dataset.splits["train"].samples[0].width) == (10, 12)
    assert kinds(dataset) == {"size-from-image": 1}


def test_another_size_is_an_error_or_dropped(export: Any) -> None:
    root = export(images=[{"file_name": "a.png", "height": 20, "width": 24}, "b.png"])
    with pytest.raises(AttnzooError) as caught:
        open_dataset(root)
    path = root / "train/_annotations.coco.json"
    assert caught.value.message == f"`{root / 'train/a.png'}` has 12×10 pixels, and 24×20 in `{path}`"
    assert [sample.name for sample in open_dataset(root, SKIP).splits["train"].samples] == ["b.png"]


def test_a_turned_photo_annotated_as_seen_is_turned(export: Any) -> None:
    root = turned(export(images=[{"file_name": "a.png", "height": 12, "width": 10}]))
    dataset = open_dataset(root)
    assert image(dataset.splits["train"].samples[0]).shape == (12, 10)
    assert kinds(dataset) == {"turned": 1}
    with pytest.raises(AttnzooError) as caught:
        open_dataset(root, Data(exif="ignore"))
    message = 'was annotated at 10×12 pixels, but its EXIF orientation, by `data.exif = "ignore"`, makes it 12×10'
    assert caught.value.message == f"`{root / 'train/a.png'}` {message}"
    assert caught.value.hint == 'it was annotated the other way: `data.exif = "transpose"`'


def test_a_turned_photo_annotated_as_stored_is_left_alone(export: Any) -> None:
    root = turned(export())
    dataset = open_dataset(root, Data(exif="ignore"))
    assert image(dataset.splits["train"].samples[0]).shape == (10, 12)
    assert kinds(dataset) == {"orientation-ignored": 1}
    with pytest.raises(AttnzooError) as caught:
        open_dataset(root)
    assert caught.value.hint == 'it was annotated the other way: `data.exif = "ignore"`'


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_turned_photo_is_refused_on_request(export: Any, orientation: int) -> None:
    root = turned(export(), orientation)
    with pytest.raises(AttnzooError) as caught:
        open_dataset(root, Data(exif="error"))
    assert (
        caught.value.message == f"`{root / 'train/a.png'}` is to be turned when shown (EXIF orientation {orientation})"
    )
    assert caught.value.hint == 'say what to do: `data.exif = "transpose"` or `"ignore"`'


@pytest.mark.parametrize("crowd", [2, "1", None, [1]])
def test_a_strange_iscrowd_is_refused(export: Any, crowd: Any) -> None:
    root = export([{"iscrowd": crowd}, {}])
    with pytest.raises(AttnzooError) as caught:
        open_dataset(root)
    path = root / "train/_annotations.coco.json"
    assert caught.value.message == f"annotation `0` in `{path}` has iscrowd `{crowd}`; 0 and 1 are possible"
    assert kinds(open_dataset(root, SKIP)) == {"unusable-annotation": 1}


def test_geometry_that_is_strange_but_possible_is_counted(export: Any) -> None:
    box = [20, 20, 24, 20, 24, 24, 20, 24]
    wide = [-5, 2, 6, 2, 6, 6, -5, 6]
    dataset = open_dataset(export([{"segmentation": [box]}, {"segmentation": [wide]}, {"segmentation": [wide, box]}]))
    assert kinds(dataset) == {"outside": 1, "clipped": 2, "several-parts": 1}
    levels = {finding.kind: finding.level for finding in dataset.findings}
    assert (levels["outside"], levels["clipped"]) == ("warning", "note")


def test_broken_image_headers_are_errors_or_dropped(export: Any) -> None:
    root = export(images=["a.png", "b.png"])
    (root / "train/a.png").write_text("hello")
    with pytest.raises(AttnzooError, match="is no image that Pillow can read"):
        open_dataset(root)
    dataset = open_dataset(root, SKIP)
    assert len(dataset.splits["train"].samples) == 1
    assert dataset.findings[0].examples == (f"`{root / 'train/a.png'}` is no image that Pillow can read",)


def test_an_error_does_not_wait_for_the_other_files(export: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    root = export([], [f"{number:03}.png" for number in range(200)])
    (root / "train/000.png").write_text("hello")
    read: list[Path] = []
    original = probe.content

    def slowly(path: Path) -> Any:
        time.sleep(0.01)
        read.append(path)
        return original(path)

    monkeypatch.setattr(probe, "content", slowly)
    with pytest.raises(AttnzooError, match="is no image"):
        open_dataset(root)
    assert len(read) < 100


def test_a_split_without_a_usable_image_is_refused(export: Any) -> None:
    with pytest.raises(AttnzooError) as caught:
        open_dataset(export([], []))
    assert caught.value.message.endswith("set` has no usable image in train: it names none")
    assert caught.value.hint == "add images, and name them in the annotation file"


def test_a_split_without_a_usable_image_says_what_became_of_them(export: Any) -> None:
    root = export([], ["a.png", "b.png", "c.png"])
    for name in "abc":
        (root / f"train/{name}.png").unlink()
    with pytest.raises(AttnzooError) as caught:
        open_dataset(root, Data(unusable="skip"))
    start, _, why = caught.value.message.partition(": ")
    assert start == f"`{root}` has no usable image in train"
    assert "a.png" in why
    assert why.endswith(", and 2 more cannot be used")


def test_findings_name_a_few_places_and_count_all(export: Any) -> None:
    found = open_dataset(export([], [f"{number}.png" for number in range(9)])).findings
    note = next(finding for finding in found if finding.kind == "no-annotation")
    assert (note.count, note.examples) == (9, ("0.png", "1.png", "2.png", "3.png", "4.png"))
    assert note.message == "images without annotation (background throughout) in train: 9"


def test_warnings_come_first(export: Any) -> None:
    box = [20, 20, 24, 20, 24, 24, 20, 24]
    levels = [finding.level for finding in open_dataset(export([{"segmentation": [box]}], ["a.png", "b.png"])).findings]
    assert levels == sorted(levels, reverse=True)
    assert set(levels) == {"note", "warning"}


def test_category_ids_written_as_floats_are_whole(export: Any, cache: Path) -> None:
    root = export()
    path = root / "train/_annotations.coco.json"
    table = json.loads(path.read_text())
    table["annotations"][0].update(category_id=7.0, image_id=0.0, id=3.0)
    path.write_text(json.dumps(table))
    dataset = open_dataset(root)
    assert mask(dataset, dataset.splits["train"].samples[0]).max() == 2


def test_facades_open_in_seconds(shared: Path) -> None:
    start = time.process_time()
    dataset = open_dataset(shared / "data/facades-384")
    assert time.process_time() - start < 10
    assert {name: len(split.samples) for name, split in dataset.splits.items()} == {
        "train": 416,
        "valid": 73,
        "test": 109,
    }
    assert len(dataset.classes) == 11
    assert dataset.classes[3] == "facade"
