"""A trained run looks at image files: index masks, and overlays with a legend."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from attnzoo import palette
from attnzoo.data.findings import Findings
from attnzoo.data.pictures import image as read_pixels
from attnzoo.data.probe import probe
from attnzoo.data.records import Sample
from attnzoo.errors import AttnzooError
from attnzoo.recipe import Data
from attnzoo.results import read_json, write_json
from attnzoo.training import Predictor
from attnzoo.workflows.overlay import overlay

FILE = "predictions.json"


@dataclass(frozen=True)
class Prediction:
    """What was written for an image: an index mask (palette PNG at the image's own size) and an overlay."""

    image: Path
    mask: Path
    overlay: Path


def predict(
    run: Path,
    images: Sequence[Path],
    out: Path | None = None,
    *,
    device: str = "auto",
    say: Callable[[str], None] = lambda line: None,
) -> tuple[Prediction, ...]:
    """Predict image files with a finished run's best model.

    All images are decoded before the first one is predicted, so a damaged one costs nothing. What an earlier prediction
    of the same image made (see `predictions.json`) is replaced; any other file is left alone, and refused.

    Args:
        run: The folder of a finished run.
        images: Image files; the same file twice is predicted once.
        out: Where to write; by default `predictions` in the run's folder.
        device: Where to compute.
        say: Gets a line for each image.

    Raises:
        AttnzooError: The run is not finished, an image cannot be read, or a file is in the way.
    """
    predictor = Predictor(run, device)
    options = predictor.recipe.data
    out = out or run / "predictions"
    planned = targets(images, out)
    samples = [_sample(prediction.image, options) for prediction in planned]
    for sample in samples:
        read_pixels(sample)
    _claim(out, planned)
    for number, (prediction, sample) in enumerate(zip(planned, samples, strict=True), 1):
        say(f"[{number}/{len(planned)}] {prediction.image}")
        pixels = read_pixels(sample)
        mask = predictor(pixels)
        prediction.mask.parent.mkdir(parents=True, exist_ok=True)
        _indexed(mask).save(prediction.mask)
        overlay(pixels, mask, predictor.classes, options.window).save(prediction.overlay)
    return planned


def targets(images: Sequence[Path], out: Path) -> tuple[Prediction, ...]:
    """Where the files go: below `out` as the images lie below their common folder, so that equal names do not meet."""
    paths = list(dict.fromkeys(image.resolve() for image in images))
    if not paths:
        raise AttnzooError("there is no image to predict", "name image files")
    common = Path(os.path.commonpath([path.parent for path in paths]))
    stems = Counter(path.with_suffix("") for path in paths)
    planned = []
    for path in paths:
        # a.png beside a.jpg keep their suffixes; alone, they need none
        name = path.stem if stems[path.with_suffix("")] == 1 else path.name
        folder = out / path.relative_to(common).parent
        planned.append(Prediction(path, folder / f"{name}_mask.png", folder / f"{name}_overlay.png"))
    return tuple(planned)


def _sample(path: Path, options: Data) -> Sample:
    """An image file as a sample of no data set; its EXIF turn is the recipe's."""
    findings = Findings(skip=False)
    (seen,) = probe([path], "images", replace(options, unusable="error"), findings, progress=False)
    if seen is None:
        raise AttnzooError(f"`{path}` cannot be used", "mend or remove it")
    return Sample(path.name, path, path.name, seen.height, seen.width, seen.digest, seen.orientation)


def _claim(out: Path, planned: Sequence[Prediction]) -> None:
    """Write down whose prediction each file is, and refuse files that are somebody else's."""
    made: dict[str, str] = {}
    if (out / FILE).exists():
        made = read_json(out / FILE, f"there is no `{out / FILE}`", "predict into another folder").get("files", {})
    for prediction in planned:
        for path in (prediction.mask, prediction.overlay):
            source = made.setdefault(
                path.relative_to(out).as_posix(), str(prediction.image) if not path.exists() else ""
            )
            if source != str(prediction.image):
                what = f"is the prediction of `{source}`" if source else "was made by no prediction"
                raise AttnzooError(f"`{path}` {what}, and would be overwritten", "choose another folder with `--out`")
    write_json(out / FILE, {"files": made})


def _indexed(mask: np.ndarray) -> Image.Image:
    """Class indices as a palette image: numbers for programs, colours for people."""
    image = Image.fromarray(mask)
    image.putpalette(palette.flat())  # which makes a grey image a palette image, its numbers unchanged
    return image
