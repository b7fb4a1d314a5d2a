"""PNG and COCO as they are written: other people's readers give back every pixel."""

import io

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from attnzoo.data.phantom.export import annotations, components, outlines, png, segmentation

# pycocotools 2.0.11 has not yet learnt numpy 2's `copy` keyword
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


@pytest.mark.parametrize("shape", [(1, 1), (64, 64), (300, 290)])
def test_png_is_read_back_by_pillow(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    with Image.open(io.BytesIO(png(pixels))) as opened:
        assert opened.mode == "L"
        assert np.array_equal(np.array(opened), pixels)


@pytest.mark.parametrize("seed", range(30))
def test_any_shape_is_written_so_that_pycocotools_reads_it_back(seed: int) -> None:
    random = np.random.default_rng(seed)
    mask = random.random((9 + seed % 5, 13)) < 0.15 + 0.025 * seed  # from single pixels to lace, touching all borders
    whole = np.zeros(mask.shape, int)
    for part in components(mask):
        given = segmentation(part)
        code = coco.frPyObjects(given, *mask.shape)
        read = coco.decode(coco.merge(code) if isinstance(given, list) else code)
        assert np.array_equal(read, part)
        whole += read
    assert np.array_equal(whole, mask)


def test_holes_and_long_outlines_become_run_lengths() -> None:
    ring = np.ones((4, 4), bool)
    ring[1:3, 1:3] = False
    assert len(outlines(ring)) == 2
    assert segmentation(ring) == {"size": [4, 4], "counts": [0, 5, 2, 2, 2, 5]}
    comb = np.ones((70, 40), bool)
    comb[1::2, 1:] = False
    assert isinstance(segmentation(comb), dict)
    assert segmentation(np.ones((2, 3), bool)) == [[0, 0, 3, 0, 3, 2, 0, 2]]


def test_components_that_touch_by_a_corner_are_two() -> None:
    labels = np.array([[4, 4, 0], [0, 0, 4], [2, 0, 0]], np.uint8)
    found = annotations(labels, image=7, first=3)
    assert [(entry["id"], entry["category_id"], entry["area"], entry["bbox"]) for entry in found] == [
        (3, 2, 1, [0, 2, 1, 1]),
        (4, 4, 2, [0, 0, 2, 1]),
        (5, 4, 1, [2, 1, 1, 1]),
    ]
    assert {entry["image_id"] for entry in found} == {7}
