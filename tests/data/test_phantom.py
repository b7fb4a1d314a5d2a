"""The drawn head CT: the same everywhere, read back in every pixel, and worth learning from."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco

from attnzoo.data import phantom
from attnzoo.data.dataset import Dataset, image, mask, open_dataset
from attnzoo.data.phantom.anatomy import Slice
from attnzoo.recipe import Data

# pycocotools 2.0.11 has not yet learnt numpy 2's `copy` keyword
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

SMALL = {"patients": 3, "slices": 5, "size": 64}
NAMES = ("background", "EDH", "IPH", "IVH", "SAH", "SDH")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dataset]:
    """Ten patients of six slices, at full size."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("phantom")
        patch.setenv("ATTNZOO_CACHE", str(folder / "cache"))
        root = phantom.draw(folder / "data", seed=1, patients=10, slices=6)
        yield open_dataset(root, Data(group_pattern=r"^(p\d+)"))


def everything(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    first = everything(phantom.draw(tmp_path / "first", seed=2, **SMALL))
    assert first == everything(phantom.draw(tmp_path / "second", seed=2, **SMALL))
    other = everything(phantom.draw(tmp_path / "other", seed=3, **SMALL))
    assert other.keys() == first.keys()
    assert not any(other[name] == first[name] for name in first if name.endswith(".png"))


def test_the_drawing_is_the_one_of_its_version(tmp_path: Path) -> None:
    # on every machine; where this fails on purpose, raise VERSION
    mark = json.loads((phantom.draw(tmp_path / "data", **SMALL) / phantom.MARK).read_text())
    digest = "1d6792bb0b08654131df55fbb131240c0fc07c06400006341cb27602fd760120"
    assert mark == {"phantom": 2, "seed": 0, **SMALL, "sha256": digest}


def test_masks_read_back_in_every_pixel(drawn: Dataset) -> None:
    for split, number, person, bleeds in phantom.members(1, 10, 6):
        for level, z in enumerate(phantom.heights(6)):
            random = phantom.stream(1, 2, number, level)
            pixels, labels = phantom.render(random, Slice(person, float(z), 128), bleeds)
            samples = {sample.name: sample for sample in drawn.splits[split].samples}
            sample = samples[f"p{number:03d}_s{level:02d}.png"]
            assert np.array_equal(mask(drawn, sample), labels), sample.name
            assert np.array_equal(image(sample), pixels), sample.name


def test_it_is_a_roboflow_export_of_five_bleeds_and_a_dummy(drawn: Dataset) -> None:
    assert drawn.format == "roboflow"
    assert drawn.classes == NAMES
    assert dict(drawn.category_ids) == {1: 1, 2: 2, 3: 3, 4: 4, 5: 5}
    table = json.loads((drawn.root / "train" / "_annotations.coco.json").read_text())
    assert table["categories"][0] == {"id": 0, "name": "hemorrhage", "supercategory": "none"}
    assert not any(finding.level == "warning" for finding in drawn.findings)


def test_areas_and_boxes_are_true_and_both_kinds_of_outline_occur(drawn: Dataset) -> None:
    kinds = Counter()
    for split in drawn.splits:
        table = json.loads((drawn.root / split / "_annotations.coco.json").read_text())
        assert [entry["id"] for entry in table["annotations"]] == list(range(len(table["annotations"])))
        for entry in table["annotations"]:
            given = entry["segmentation"]
            kinds[type(given)] += 1
            code = coco.frPyObjects(given, 128, 128)
            code = coco.merge(code) if isinstance(given, list) else code
            assert entry["area"] == coco.area(code)
            assert entry["bbox"] == coco.toBbox(code).tolist()
            assert entry["iscrowd"] == 0
    assert min(kinds[list], kinds[dict]) > 10


def test_splits_are_by_patient(drawn: Dataset) -> None:
    groups = {name: {sample.group for sample in split.samples} for name, split in drawn.splits.items()}
    assert {name: len(patients) for name, patients in groups.items()} == {"train": 6, "valid": 2, "test": 2}
    assert len(set.union(*groups.values())) == 10
    assert {name: len(split.samples) for name, split in drawn.splits.items()} == {"train": 36, "valid": 12, "test": 12}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("patients", [3, 8])
def test_every_bleed_is_in_every_split(seed: int, patients: int) -> None:
    found: dict[str, set[int]] = {"train": set(), "valid": set(), "test": set()}
    for split, _, person, bleeds in phantom.members(seed, patients, 5):
        for z in phantom.heights(5):
            _, labels = phantom.render(phantom.stream(0), Slice(person, float(z), 64), bleeds)
            found[split] |= set(np.unique(labels).tolist())
    assert all(labels == {0, 1, 2, 3, 4, 5} for labels in found.values()), found


def test_some_slices_are_empty_and_some_have_two_bleeds(drawn: Dataset) -> None:
    kinds = [len(np.unique(mask(drawn, sample))) - 1 for split in drawn.splits.values() for sample in split.samples]
    counts = Counter(kinds)
    assert counts[0] > 5
    assert counts[1] > 10
    assert counts[2] > 5


def test_bleeds_look_alike_and_lie_in_different_places(drawn: Dataset) -> None:
    values: dict[int, list[np.ndarray]] = {label: [] for label in range(1, 6)}
    places: dict[int, list[np.ndarray]] = {label: [] for label in range(1, 6)}
    for split, number, person, _ in phantom.members(1, 10, 6):
        for level, z in enumerate(phantom.heights(6)):
            sample = next(s for s in drawn.splits[split].samples if s.name == f"p{number:03d}_s{level:02d}.png")
            labels, depth = mask(drawn, sample), Slice(person, float(z), 128).depth
            for label in values:
                values[label].append(image(sample)[labels == label])
                places[label].append(depth[labels == label])
    brightness = {NAMES[label]: np.median(np.concatenate(found)) for label, found in values.items()}
    assert 50 < min(brightness.values()) < max(brightness.values()) < 75, brightness
    means = {NAMES[label]: np.concatenate(found).mean() for label, found in values.items()}
    assert max(means.values()) < 1.3 * min(means.values()), means  # no label on what the bone brightens
    depth = {NAMES[label]: np.concatenate(found) for label, found in places.items()}
    assert all(found.min() > 0 for found in depth.values())  # all inside the skull
    assert max(depth["SDH"].max(), depth["EDH"].max()) < 0.25
    assert depth["SDH"].mean() < depth["EDH"].mean() < depth["IPH"].mean() < depth["IVH"].mean()
    assert depth["SAH"].mean() < depth["IPH"].mean()


def test_intensities_are_those_of_head_ct(drawn: Dataset) -> None:
    for sample in drawn.splits["test"].samples:
        pixels, labels = image(sample), mask(drawn, sample)
        assert pixels.dtype == np.uint8
        centre = pixels[40:88, 40:88][labels[40:88, 40:88] == 0]
        assert 20 < np.median(centre) < 45
        assert (pixels == 255).mean() > 0.05  # bone
        assert np.median(pixels[:6]) < 5  # air


def test_slices_of_a_patient_resemble_each_other(drawn: Dataset) -> None:
    pixels = {sample.name: image(sample).astype(float) for sample in drawn.splits["train"].samples}

    def likeness(first: str, second: str) -> float:
        return float(np.corrcoef(pixels[first].ravel(), pixels[second].ravel())[0, 1])

    within = [likeness(f"p{n:03d}_s02.png", f"p{n:03d}_s03.png") for n in range(6)]
    across = [likeness(f"p{n:03d}_s02.png", f"p{(n + 1) % 6:03d}_s02.png") for n in range(6)]
    assert min(within) > 0.9
    assert np.mean(within) > np.mean(across) + 0.1


def test_it_says_that_it_is_a_drawing(drawn: Dataset) -> None:
    assert (drawn.root / "README.txt").read_text().startswith("This is a drawing, not data")
    table = json.loads((drawn.root / "test" / "_annotations.coco.json").read_text())
    assert table["info"]["description"] == "attnzoo phantom head CT: a drawing, not data"
