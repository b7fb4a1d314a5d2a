"""A case as pictures: the photo, its truth, and where an arm is right, saw too much, or missed something."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from attnzoo import palette
from attnzoo.data.records import IGNORE
from attnzoo.workflows.report.kept import Pixels

RIGHT, EXTRA, MISSED, CONFUSED = "right", "too much", "missed", "another class"
# far in CIELAB from every class's colour, and from each other over any grey and for any eyes; what is right is a tint
ERRORS = {RIGHT: (75, 225, 15), EXTRA: (15, 30, 195), MISSED: (255, 45, 255), CONFUSED: (225, 255, 30)}
_OPACITY = {RIGHT: 0.45, EXTRA: 0.75, MISSED: 0.75, CONFUSED: 0.75}
_CLASSES = 0.6


def errors(truth: Pixels, predicted: Pixels, focus: int | None = None) -> npt.NDArray[np.uint8]:
    """0 where nothing is to be said, else 1 + the place in `ERRORS`; with a focus as if it were the only class."""
    true, seen = (truth > 0, predicted > 0) if focus is None else (truth == focus, predicted == focus)
    told = np.zeros(truth.shape, np.uint8)
    told[true & seen & (truth == predicted)] = 1
    told[seen & ~true] = 2
    told[true & ~seen] = 3
    told[true & seen & (truth != predicted)] = 4
    told[truth == IGNORE] = 0
    return told


def overlaid(photo: Pixels, truth: Pixels, predicted: Pixels, focus: int | None = None) -> Image.Image:
    """An arm's errors over the photo in grey."""
    grey = photo.mean(-1, keepdims=True).repeat(3, -1)
    told = _sized(errors(truth, predicted, focus), photo)
    colours = np.array([(0, 0, 0), *ERRORS.values()], np.float64)
    opacity = np.array([0, *_OPACITY.values()])
    return _mixed(grey, colours[told], opacity[told])


def painted(photo: Pixels, mask: Pixels, classes: Sequence[str], focus: int | None = None) -> Image.Image:
    """The classes of a mask, or one of them, over the photo, in the palette's colours."""
    grey = photo.mean(-1, keepdims=True).repeat(3, -1)
    small = _sized(mask if focus is None else np.where(mask == focus, mask, np.uint8(0)), photo)
    colours = np.array([palette.colour(index) for index in range(256)], np.float64)
    return _mixed(grey, colours[small], np.where((small > 0) & (small < len(classes)), _CLASSES, 0.0))


def image_score(truth: Pixels, predicted: Pixels, focus: int | None) -> float | None:
    """Dice of a class in an image; without a focus the mean over the classes of its truth."""
    seen = truth != IGNORE
    wanted = [focus] if focus is not None else [int(index) for index in np.unique(truth[seen]) if index]
    found = []
    for index in wanted:
        true, ours = (truth == index) & seen, (predicted == index) & seen
        if true.any():
            found.append(2 * int((true & ours).sum()) / (int(true.sum()) + int(ours.sum())))
    return float(np.mean(found)) if found else None


def hexadecimal(colour: tuple[int, int, int]) -> str:
    """`#d55e00`."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _mixed(
    base: npt.NDArray[np.float64], colours: npt.NDArray[np.float64], opacity: npt.NDArray[np.float64]
) -> Image.Image:
    mixed = base * (1 - opacity[..., None]) + colours * opacity[..., None]
    return Image.fromarray(mixed.round().clip(0, 255).astype(np.uint8))


def _sized(mask: Pixels, photo: Pixels) -> npt.NDArray[np.uint8]:
    """A mask at the photo's size, every pixel the nearest one's."""
    picture = Image.fromarray(mask).resize((photo.shape[1], photo.shape[0]), Image.Resampling.NEAREST)
    return np.asarray(picture)
