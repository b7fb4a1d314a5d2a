"""Colours of classes."""

import numpy as np
import pytest

from attnzoo.palette import colour, flat
from attnzoo.workflows.report import drawing

# Machado et al., 2009, at full severity, for linear RGB: how the world looks to whom
EYES = {
    "all cones": np.eye(3),
    "no red cones": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green cones": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
}


def seen(colours: list[tuple[int, int, int]], eyes: str) -> np.ndarray:
    """sRGB colours as these eyes see them, in CIELAB under D65."""
    channels = np.array(colours) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ np.transpose(EYES[eyes]), 0, 1)
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
    )
    xyz = linear @ to_xyz.T / [0.95047, 1, 1.08883]
    x, y, z = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def test_background_is_black_and_ignored_is_grey() -> None:
    assert colour(0) == (0, 0, 0)
    assert len(set(colour(255))) == 1


@pytest.mark.parametrize(
    ("eyes", "classes", "least"), [("all cones", 21, 25), ("no red cones", 12, 15), ("no green cones", 12, 15)]
)
def test_colours_are_far_apart(eyes: str, classes: int, least: float) -> None:
    # a difference of 2 can just be seen; one below 15 is hard to tell in a small object
    points = seen([colour(index) for index in range(classes + 1)], eyes)
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    assert distances[np.triu_indices(len(points), k=1)].min() >= least


def test_what_is_ignored_looks_like_no_class() -> None:
    points = seen([colour(index) for index in (255, *range(22))], "all cones")
    assert np.linalg.norm(points[1:] - points[0], axis=1).min() >= 25


def test_an_error_has_the_colour_of_no_class() -> None:
    errors, classes = list(drawing.ERRORS.values()), [colour(index) for index in (*range(33), 255)]
    apart = seen(errors, "all cones")[:, None] - seen(classes, "all cones")
    assert np.linalg.norm(apart, axis=2).min() >= 20


@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize("grey", [30, 120, 220])
def test_errors_are_told_apart_over_a_photo(eyes: str, grey: int) -> None:
    """Each as it is mixed with the photo, and the photo itself."""
    truth, predicted = np.array([[1, 0, 1, 1, 0]], np.uint8), np.array([[1, 1, 0, 2, 0]], np.uint8)
    picture = drawing.overlaid(np.full((1, 5, 3), grey, np.uint8), truth, predicted)
    points = seen([tuple(pixel) for pixel in np.asarray(picture)[0]], eyes)
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    assert distances[np.triu_indices(5, k=1)].min() >= 15


def test_colours_repeat_after_the_last() -> None:
    assert colour(22) == colour(1)
    assert all(0 <= channel <= 255 for channel in flat())


def test_the_flat_palette_is_what_pillow_wants() -> None:
    assert len(flat()) == 768
    assert tuple(flat()[3:6]) == colour(1)
    assert tuple(flat()[-3:]) == colour(255)
