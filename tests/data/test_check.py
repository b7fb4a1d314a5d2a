"""The report: what it counts, what it warns of, how it reads."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from attnzoo.data import open_dataset
from attnzoo.data.check import Report, check, inspect
from attnzoo.data.intensity import Histogram
from attnzoo.data.records import Finding
from attnzoo.data.render import render
from attnzoo.errors import AttnzooError
from attnzoo.recipe import Data

pytestmark = pytest.mark.usefixtures("cache")

SMALL = {"segmentation": [[3, 3, 5, 3, 5, 5, 3, 5]], "category_id": 7}
OUTSIDE = {"segmentation": [[20, 20, 24, 20, 24, 24, 20, 24]]}


def found(report: Report, kind: str) -> list[Finding]:
    return [finding for finding in report.findings if finding.kind == kind]


def test_counts_by_hand(export: Any) -> None:
    export([{}, SMALL, {"iscrowd": 1, "segmentation": [[8, 8, 10, 8, 10, 10, 8, 10]]}], ["a.png", "b.png"])
    report = check(open_dataset(export([SMALL], ["c.png"], split="test")))
    train = report.splits["train"]
    assert (train.images, train.groups, train.empty_images) == (2, 2, 1)
    assert (train.pixels, train.labelled_pixels, train.overlapping_pixels, train.ignored_pixels) == (240, 20, 4, 4)
    assert (train.height.smallest, train.height.median, train.width.largest) == (10, 10, 12)
    assert dict(train.kinds) == {"8-bit grey": 2}
    counts = {name: (one.images, one.pixels, one.annotations) for name, one in train.classes.items()}
    assert counts == {"background": (2, 220, 0), "disc": (1, 12, 1), "bar": (1, 4, 1)}
    assert [(finding.split, finding.examples) for finding in found(report, "absent-class")] == [("test", ("disc",))]


def test_sizes_are_spread(export: Any) -> None:
    root = export([], ["a.png", "b.png", {"file_name": "c.png", "height": None}])
    Image.fromarray(np.zeros((31, 12), dtype=np.uint8)).save(root / "train/c.png")
    report = check(open_dataset(root))
    height = report.splits["train"].height
    assert (height.smallest, height.median, height.largest) == (10, 10, 31)
    assert " 10…10…31 " in render(report)


def test_what_paints_nothing_is_reported(export: Any) -> None:
    report = check(open_dataset(export([{"id": 4}, {"id": 5}, {"id": 6, **OUTSIDE}])))
    assert found(report, "no-pixels")[0].examples == ("annotation `6` of a.png",)
    assert found(report, "hidden")[0].examples == ("annotation `4` of a.png",)


def test_broken_images_are_reported(export: Any) -> None:
    root = export([], ["a.png", "b.png"])
    path = root / "train/a.png"
    path.write_bytes(path.read_bytes()[:-40])
    report = check(open_dataset(root))
    assert (report.splits["train"].images, dict(report.splits["train"].kinds)) == (2, {"8-bit grey": 1})
    assert f"`{path}` cannot be decoded" in found(report, "broken-image")[0].examples[0]


def test_mixed_depths_are_reported(export: Any) -> None:
    root = export([], ["a.png", "b.png"])
    Image.fromarray(np.full((10, 12), 60_000, dtype=np.uint16)).save(root / "train/a.png")
    report = check(open_dataset(root))
    assert dict(report.splits["train"].kinds) == {"16-bit grey": 1, "8-bit grey": 1}
    assert found(report, "mixed-depth")[0].examples == ("1 in train",)
    assert report.intensity["16-bit"].largest == 60_000


def test_inspection_survives_what_a_run_would_refuse(export: Any) -> None:
    export([{}, {"segmentation": []}], ["a.rf.0.png", "b.png"])
    root = export(images=["a.rf.1.png"], split="test")
    (root / "train/b.png").unlink()
    for options in (Data(), Data(unusable="skip")):
        with pytest.raises(AttnzooError):
            open_dataset(root, options)
    report = inspect(root)
    assert {"unusable-annotation", "unusable-image", "leaked-group"} <= {finding.kind for finding in report.findings}


def test_warnings_come_first(export: Any) -> None:
    levels = [finding.level for finding in check(open_dataset(export([OUTSIDE], ["a.png", "b.png"]))).findings]
    assert levels == sorted(levels, reverse=True)
    assert set(levels) == {"note", "warning"}


def test_the_report_goes_through_json(export: Any) -> None:
    report = check(open_dataset(export([{}, OUTSIDE])))
    table = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert table["splits"]["train"]["classes"]["disc"]["pixels"] == 16
    assert table["findings"][0]["kind"] == report.findings[0].kind
    assert table["digest"] == report.digest


def test_intensities_by_hand() -> None:
    histogram = Histogram()
    inner = np.repeat(np.arange(20, 40, dtype=np.uint8), 10)  # 200 values, and many at both ends
    assert (
        histogram.add(np.concatenate([inner, np.zeros(900, np.uint8), np.full(90, 255, np.uint8)])[:, None])
        == "8-bit grey"
    )
    seen = histogram.read()["8-bit"]
    assert (seen.smallest, seen.low, seen.median, seen.high, seen.largest, seen.full_scale) == (0, 20, 29, 38, 255, 255)
    assert seen.narrow
    histogram.add(np.tile(np.arange(256, dtype=np.uint8), 100)[:, None])
    assert not histogram.read()["8-bit"].narrow


def test_a_picture_of_one_value_has_an_intensity() -> None:
    histogram = Histogram()
    assert histogram.add(np.full((4, 4, 3), 7, dtype=np.uint8)) == "8-bit colour"
    seen = histogram.read()["8-bit"]
    assert (seen.smallest, seen.low, seen.high, seen.largest) == (7, 7, 7, 7)


def test_head_ct_wants_a_window(shared: Path) -> None:
    report = inspect(shared / "data/head-ct")
    assert report.splits["train"].images == 48
    hint = found(report, "narrow-range")[0].examples[0]
    window = [int(number) for number in re.findall(r"data\.window = \[(\d+), (\d+)\]", hint)[0]]
    assert 5 < window[0] < 20 < 90 < window[1] < 120  # brain is 20–45, blood 50–90


def test_the_text_says_it_all(export: Any) -> None:
    root = export([{}, SMALL, OUTSIDE], ["a.png", "b.png"])
    text = render(inspect(root))
    assert text.splitlines()[0].startswith(f"{root}: roboflow, 2 classes, digest ")
    for row in (
        r"train +2 +2 +1 +10 +12 +6.67 % +25 % +0 % +2 × 8-bit grey",
        r"1 +disc +1 +2 +5 %",
        r"2 +bar +1 +1 +1.67 %",
    ):
        assert re.search(row, text.replace("\n", " ")), row
    assert "warning: annotations entirely outside their image, which paint nothing in train: 1" in text
    assert "note: images without annotation (background throughout) in train: 1\n    b.png\n" in text
    assert max(len(line) for line in text.splitlines()[1:10]) <= 120


def test_long_lists_are_cut_in_the_text(export: Any) -> None:
    text = render(check(open_dataset(export([], [f"{number}.png" for number in range(9)]))))
    assert "    4.png\n    and 4 more\n" in text


def test_a_faultless_data_set_is_said_to_be_one(export: Any) -> None:
    categories = [{"id": 1, "name": "disc"}]
    for split in ("train", "valid", "test"):
        root = export(categories=categories, split=split)
    text = render(check(open_dataset(root)))
    assert text.endswith("nothing to remark\n")


def test_a_split_that_a_run_will_miss_is_remarked(export: Any) -> None:
    report = inspect(export(categories=[{"id": 1, "name": "disc"}], split="valid"))
    (finding,) = found(report, "missing-split")
    assert (finding.level, finding.examples) == ("warning", ("train", "test"))
    assert "warning: splits that are not there (a run needs them): 2\n    train\n    test\n" in render(report)


def test_no_heading_is_cut_however_much_there_is_to_say(export: Any) -> None:
    sizes = [{"file_name": f"{number}.png", "height": None} for number in range(6)]
    export([], sizes)
    root = export([], sizes, split="valid")
    for split in ("train", "valid"):
        for number in range(6):
            shape = (1000 + 7 * number, 2000 + 5 * number) + ((3,) if number % 2 else ())
            kind = np.uint16 if number in (0, 2) else np.uint8
            Image.fromarray(np.full(shape, 60 + number, kind)).save(root / split / f"{number}.png")
    lines = render(inspect(root)).splitlines()
    headings = "split images groups empty height width labelled overlapping ignored kinds"
    assert lines[2].split() == headings.split()
    assert {"1000…1017.5…1035", "2000…2012.5…2025"} <= set(lines[4].split())
    assert max(map(len, lines[:12])) <= 120


def test_nothing_in_a_name_steers_the_terminal_or_the_markup(export: Any) -> None:
    root = export(images=["[red]a\u202e.png", "b.png"], categories=[{"id": 1, "name": "[bold]disc"}])
    shutil.copy(root / "train/b.png", root / "train/\x1b[2J.png")
    text = render(check(open_dataset(root)))
    assert "[bold]disc" in text
    assert "\x1b" not in text
    assert "�[2J.png" in text
