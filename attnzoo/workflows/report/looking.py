"""A test image as it is shown, its outlines, and what a run finds in it."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from PIL import Image

from attnzoo import attention_maps
from attnzoo.attention_maps import Key
from attnzoo.data.dataset import image
from attnzoo.data.records import Sample
from attnzoo.skip import Shown
from attnzoo.training import Predictor
from attnzoo.workflows.heat import alone
from attnzoo.workflows.overlay import visible
from attnzoo.workflows.report.kept import Map, Pixels

LONGEST = 320  # pixels of a kept photo
_MAP = 160  # pixels of a kept map


def photo(sample: Sample, window: tuple[float, float] | None) -> Image.Image:
    """As it is shown: 8 bits by the recipe's window, at most `LONGEST` pixels long."""
    picture = Image.fromarray(visible(image(sample), window))
    picture.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    return picture


def outlines(sample: Sample) -> list[dict[str, Any]] | None:
    """Each annotation's class and polygons, in the image's pixels; None where the data came with masks."""
    if sample.mask is not None:
        return None
    return [
        {"label": one.label, "polygons": [np.frombuffer(part, "<f8").round(1).tolist() for part in one.polygons]}
        for one in sample.annotations
    ]


def predict(predictor: Predictor, pixels: np.ndarray, *, maps: bool) -> tuple[Pixels, dict[Map, Image.Image] | None]:
    """An arm's mask, and with `maps` a picture of what each of its blocks does."""
    watching: AbstractContextManager[Mapping[Key, Shown]]
    watching = attention_maps.maps(predictor.model) if maps else nullcontext({})
    with watching as shown:
        predicted = predictor(pixels)
    if not maps:
        return predicted, None
    factor = _MAP / max(pixels.shape[:2])
    size = (max(1, round(pixels.shape[0] * factor)), max(1, round(pixels.shape[1] * factor)))
    drawn = {}
    for number, ((site, block), seen) in enumerate(shown.items(), 1):
        one = alone(seen, size)
        about = Map(site, block, one.what, one.low, one.high, one.sides, f"map-{number}.webp")
        drawn[about] = one.picture
    return predicted, drawn
