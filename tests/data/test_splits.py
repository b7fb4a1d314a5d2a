"""Groups, what two splits share, and splits drawn by group."""

import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from attnzoo.data import open_dataset
from attnzoo.data.records import Sample
from attnzoo.data.splits import draw, group_of
from attnzoo.errors import AttnzooError
from attnzoo.recipe import Data

HINT = "scores would be too good: split by group, or accept it by `--set data.allow_leakage=true`"


@pytest.mark.parametrize(
    ("name", "pattern", "group"),
    [
        ("IMG_1_0_png_jpg.rf.0123abcd.jpg", None, "IMG_1_0_png_jpg"),
        ("scan.01.png", None, "scan.01"),
        ("ward/scan.png", None, "ward/scan"),
        ("mbh_164016.png", r"mbh_\d{3}", "mbh_164"),
        ("mbh_164016.png", r"_(\d{3})", "164"),
        ("IMG_1_0_png_jpg.rf.0123abcd.jpg", r"(.+)_\d_png", "IMG_1"),
        ("ward/scan.png", r"^(\w+)/", "ward"),
    ],
)
def test_groups(name: str, pattern: str | None, group: str) -> None:
    assert group_of(name, pattern) == group


@pytest.mark.parametrize("pattern", [r"b(\d+)", r"(x)?a", r"\d*", "^$"])
def test_a_pattern_must_find_a_group_in_every_name(export: Any, pattern: str) -> None:
    root = export(images=["a_name.png"])
    with pytest.raises(AttnzooError) as caught:
        open_dataset(root, Data(group_pattern=pattern))
    assert caught.value.message == f"`data.group_pattern` `{pattern}` finds no group in the file name `a_name.png`"
    assert caught.value.hint == "its first group, or the whole match, must be the patient or photo in every file name"


def two(export: Any, train: str, test: str) -> Path:
    export(images=[train])
    root: Path = export(images=[test], split="test")
    return root


def refused(root: Path, message: str, **options: Any) -> None:
    with pytest.raises(AttnzooError) as caught:
        open_dataset(root, Data(**options))
    assert caught.value.message == message
    assert caught.value.hint == HINT


def leaks(root: Path, **options: Any) -> list[tuple[str, str, int, tuple[str, ...]]]:
    findings = open_dataset(root, Data(allow_leakage=True, **options)).findings
    return [(found.level, found.kind, found.count, found.examples) for found in findings if "leaked" in found.kind]


def test_one_photo_in_two_splits_is_refused_or_reported(export: Any) -> None:
    root = two(export, "photo.rf.0a.png", "photo.rf.1b.png")
    where = "group `photo`{} train/photo.rf.0a.png and test/photo.rf.1b.png"
    refused(root, where.format(" is in more than one split:"))
    assert leaks(root) == [("warning", "leaked-group", 1, (where.format(":"),))]


def test_crops_of_one_photo_count_when_the_pattern_says_so(export: Any) -> None:
    root = two(export, "photo_0.png", "photo_1.png")
    assert leaks(root) == []
    message = "group `photo` is in more than one split: train/photo_0.png and test/photo_1.png"
    refused(root, message, group_pattern=r"(.+)_\d\.png")
    assert len(leaks(root, group_pattern=r"(.+)_\d\.png")) == 1


def test_equal_numbers_in_two_splits_are_two_images(export: Any) -> None:
    assert leaks(two(export, "0001.png", "0001.png")) == []


def test_the_same_bytes_in_two_splits_are_refused_or_reported(export: Any) -> None:
    root = two(export, "a.png", "b.png")
    shutil.copy(root / "train/a.png", root / "test/b.png")
    refused(root, "the same image is in more than one split: train/a.png and test/b.png")
    assert leaks(root) == [("warning", "leaked-image", 1, ("the same image: train/a.png and test/b.png",))]


def test_the_number_of_leaks_is_told(export: Any) -> None:
    export(images=["a.rf.0.png", "b.rf.0.png"])
    root = export(images=["a.rf.1.png", "b.rf.1.png"], split="test")
    with pytest.raises(AttnzooError, match=re.escape("(2 such groups in all)")):
        open_dataset(root)


def test_copies_within_a_split_are_noted(export: Any) -> None:
    root = export(images=["a.png", "b.png"])
    shutil.copy(root / "train/a.png", root / "train/b.png")
    note = next(finding for finding in open_dataset(root).findings if finding.kind == "duplicate-image")
    assert (note.level, note.count, note.split, note.examples) == ("note", 1, "train", ("b.png is a.png",))


def samples(groups: dict[str, int]) -> list[Sample]:
    return [
        Sample(f"{group}_{number}", Path("x"), group, 1, 1, "")
        for group, count in groups.items()
        for number in range(count)
    ]


def test_drawn_splits_keep_groups_together_and_lose_nothing() -> None:
    everything = samples({f"patient {number}": 1 + number % 5 for number in range(60)})
    dealt = draw(everything, seed=3)
    names = [sample.name for split in dealt.values() for sample in split]
    assert sorted(names) == sorted(sample.name for sample in everything)
    owners = [{sample.group for sample in split} for split in dealt.values()]
    assert sum(len(owned) for owned in owners) == len(set.union(*owners)) == 60
    for fraction, split in zip((0.7, 0.15, 0.15), dealt.values(), strict=True):
        assert abs(len(split) - fraction * len(everything)) <= 5


def test_drawn_splits_depend_on_the_seed_and_not_on_the_order() -> None:
    everything = samples({f"patient {number}": 2 for number in range(20)})
    assert draw(everything, seed=1) == draw(everything[::-1], seed=1)
    assert draw(everything, seed=1) != draw(everything, seed=2)
    golden = {"train": ["a", "d", "e", "f"], "valid": ["c"], "test": ["b"]}
    few = {
        split: [sample.group for sample in dealt] for split, dealt in draw(samples(dict.fromkeys("abcdef", 1))).items()
    }
    assert few == golden  # the same on every machine, with every numpy


def test_every_split_gets_a_group() -> None:
    dealt = draw(samples({"large": 50, "b": 1, "c": 1}))
    assert Counter(bool(split) for split in dealt.values()) == {True: 3}


def test_too_few_groups_cannot_be_dealt() -> None:
    with pytest.raises(AttnzooError) as caught:
        draw(samples({"a": 9, "b": 9}))
    assert caught.value.message == "2 groups of images cannot be dealt into 3 splits"
    assert caught.value.hint == "add images, or split them by hand"
