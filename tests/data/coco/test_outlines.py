"""What may be wrong with a segmentation: refused with file and id, or dropped and counted, never deadly."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco

from attnzoo.data import mask, open_dataset
from attnzoo.data.coco.outlines import UnusableError, outlines, runs
from attnzoo.errors import AttnzooError
from attnzoo.recipe import Data

SQUARE = [2, 2, 6, 2, 6, 6, 2, 6]
INFINITE = float("inf")
SKIP = Data(unusable="skip")

UNUSABLE = {
    "box only": ([], "has no outline, only a box"),
    "empty polygon": ([[]], "has a polygon of 0 numbers; three corners need 6"),
    "two numbers": ([[1, 2]], "has a polygon of 2 numbers; three corners need 6"),
    "four numbers": ([[1, 2, 3, 4]], "has a polygon of 4 numbers; three corners need 6"),
    "odd": ([[1, 2, 3, 4, 5, 6, 7]], "has a polygon with an odd number of coordinates (7)"),
    "flat": (SQUARE, "has a flat list of coordinates where a list of polygons belongs"),
    "none": (None, "has no segmentation"),
    "text": ("square", "has a segmentation of type str"),
    "polygon of texts": ([["1", "2", "3", "4", "5", "6"]], "has a polygon that is not a list of numbers"),
    "polygon of booleans": ([[True] * 6], "has a polygon that is not a list of numbers"),
    "polygon is none": ([[*SQUARE], None], "has a polygon that is not a list of numbers"),
    "RLE of another size": (
        {"size": [12, 10], "counts": [120]},
        "has a run-length code of size [12, 10]; its image is [10, 12]",
    ),
    "RLE without size": ({"counts": [120]}, "has a run-length code of size None; its image is [10, 12]"),
    "RLE without counts": ({"size": [10, 12]}, "has a run-length code without counts"),
    "RLE of floats": ({"size": [10, 12], "counts": [60.0, 60.0]}, "has a run-length code without counts"),
    "RLE with a negative run": ({"size": [10, 12], "counts": [130, -10]}, "has a run-length code with a negative run"),
    "RLE with a foreign character": ({"size": [10, 12], "counts": "h3\x7f"}, "has a damaged run-length string"),
}
KILLERS = {
    "NaN": ([[float("nan"), *SQUARE[1:]]], "has a coordinate that is not finite"),
    "infinite": ([[INFINITE, *SQUARE[1:]]], "has a coordinate that is not finite"),
    "beyond floats": ([[10**400, *SQUARE[1:]]], "has a coordinate that is not finite"),
    "2e8": ([[2e8, *SQUARE[1:]]], "has a coordinate 2e+08 pixels away"),
    "-1e9": ([[-1e9, *SQUARE[1:]]], "has a coordinate 1e+09 pixels away"),
    "long outline": ([[0, 0, 9e5, 9e5] * 10], "has an outline of 1.8e+07 pixels"),
    "RLE too short": ({"size": [10, 12], "counts": [3, 5]}, "has a run-length code of 8 pixels; its image has 120"),
    "RLE too long": ({"size": [10, 12], "counts": [3, 500]}, "has a run-length code of 503 pixels; its image has 120"),
    "RLE string cut": ({"size": [10, 12], "counts": "h"}, "has a run-length string that ends within a number"),
    "RLE string endless": ({"size": [10, 12], "counts": "o" * 50}, "has a damaged run-length string"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_unusable_outlines_are_refused_by_name(export: Any, case: str) -> None:
    segmentation, problem = UNUSABLE[case]
    root = export([{}, {"id": 41, "segmentation": segmentation}])
    with pytest.raises(AttnzooError) as caught:
        open_dataset(root)
    assert caught.value.message == f"annotation `41` in `{root / 'train/_annotations.coco.json'}` {problem}"
    assert caught.value.hint == 'mend it, or drop such annotations by `data.unusable = "skip"`'


@pytest.mark.parametrize("case", UNUSABLE | KILLERS)
def test_unusable_outlines_are_dropped_and_counted_on_request(export: Any, cache: Path, case: str) -> None:
    segmentation, problem = (UNUSABLE | KILLERS)[case]
    dataset = open_dataset(export([{}, {"id": 41, "segmentation": segmentation}]), SKIP)
    found = [finding for finding in dataset.findings if finding.kind == "unusable-annotation"]
    assert [(finding.level, finding.count, finding.split) for finding in found] == [("warning", 1, "train")]
    assert problem in found[0].examples[0]
    assert mask(dataset, dataset.splits["train"].samples[0]).sum() == 16  # the good one is still there


def test_a_missing_segmentation_is_refused(export: Any) -> None:
    root = export([{}])
    path = root / "train/_annotations.coco.json"
    path.write_text(path.read_text().replace('"segmentation"', '"segments"'))
    with pytest.raises(AttnzooError, match="has no segmentation"):
        open_dataset(root)


@pytest.mark.parametrize("case", KILLERS)
def test_deadly_outlines_are_refused_and_kill_nobody(export: Any, cache: Path, case: str) -> None:
    segmentation, problem = KILLERS[case]
    root = export([{"segmentation": segmentation}])
    script = (
        "import sys; from attnzoo.data import open_dataset, mask; d = open_dataset(sys.argv[1]);"
        "mask(d, d.splits['train'].samples[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(root)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "ATTNZOO_CACHE": str(cache)},
    )
    assert done.returncode == 1, "an exception ends with 1, a signal with a negative number"
    assert f"annotation `0` in `{root / 'train/_annotations.coco.json'}` {problem}" in done.stderr


def test_one_bad_part_does_not_take_the_others_along(export: Any, cache: Path) -> None:
    dataset = open_dataset(export([{"segmentation": [SQUARE, [1, 2]]}]), SKIP)
    sample = dataset.splits["train"].samples[0]
    assert len(sample.annotations[0].polygons) == 1
    assert mask(dataset, sample).sum() == 16


@pytest.mark.parametrize("counts", [[120], [0, 120], [7, 5, 0, 3, 105], [0, 0, 3, 117], [3, 0, 0, 0, 117], [119, 1]])
def test_run_lengths_mean_what_numpy_says(counts: list[int]) -> None:
    kept = np.frombuffer(runs({"size": [10, 12], "counts": counts}, 10, 12), dtype="<u4")
    values = np.arange(len(counts)) % 2
    assert (np.repeat(values, counts) == np.repeat(np.arange(len(kept)) % 2, kept)).all()
    assert (kept[1:] > 0).all()


def test_compressed_run_lengths_are_read_as_pycocotools_reads_them() -> None:
    generator = np.random.default_rng(0)
    for density in (0.0, 0.02, 0.5, 0.98, 1.0):
        pixels = np.asfortranarray((generator.random((300, 257)) < density).astype(np.uint8))
        code = coco.encode(pixels)
        kept = np.frombuffer(runs({"size": [300, 257], "counts": code["counts"].decode()}, 300, 257), dtype="<u4")
        assert (pixels == np.repeat(np.arange(len(kept)) % 2, kept).reshape(257, 300).T).all()


def test_coordinates_far_outside_are_still_safe() -> None:
    polygons, _, problems = outlines([[-9e5, 0, 9e5, 0, 9e5, 9, -9e5, 9]], 10, 12)
    assert len(polygons) == 1
    assert not problems


def test_the_reason_of_the_first_bad_part_is_told_when_no_part_is_good() -> None:
    with pytest.raises(UnusableError, match="odd number"):
        outlines([[1, 2, 3, 4, 5, 6, 7], []], 10, 12)
