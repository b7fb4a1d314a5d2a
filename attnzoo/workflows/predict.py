"""A trained run looks at image files: index masks, overlays with a legend, and what its attention did."""

import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from attnzoo import attention_maps, palette
from attnzoo.attention_maps import Key, map_keys
from attnzoo.data.findings import Findings
from attnzoo.data.pictures import image as read_pixels
from attnzoo.data.probe import probe
from attnzoo.data.records import Sample
from attnzoo.errors import AttnzooError
from attnzoo.insertion import filled
from attnzoo.recipe import Data
from attnzoo.results import read_json, write_json
from attnzoo.skip import Shown
from attnzoo.training import Predictor
from attnzoo.workflows.heat import heat
from attnzoo.workflows.overlay import overlay

FILE = "predictions.json"


@dataclass(frozen=True)
class Prediction:
    """What was written for an image: an index mask (palette PNG at the image's own size) and an overlay.

    With maps, a picture for each block of attention too, in the order of `attention_maps.map_keys`.
    """

    image: Path
    mask: Path
    overlay: Path
    maps: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """All that was written."""
        return self.mask, self.overlay, *self.maps


def predict(
    run: Path,
    images: Sequence[Path],
    out: Path | None = None,
    *,
    maps: bool = False,
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
        maps: Whether to draw what each block of attention does, too (`heat`).
        device: Where to compute.
        say: Gets a line for each image.

    Raises:
        AttnzooError: The run is not finished, an image cannot be read, a file is in the way, or there is no attention
            whose maps could be drawn.
    """
    predictor = Predictor(run, device)
    options = predictor.recipe.data
    out = out or run / "predictions"
    if maps and predictor.recipe.model.attention == "none":
        raise AttnzooError(f"`{run}` has no attention whose maps could be drawn", "leave `--maps` out")
    keys = tuple(map_keys(predictor.model)) if maps else ()
    planned = targets(images, out, keys)
    samples = [_sample(prediction.image, options) for prediction in planned]
    for sample in samples:
        read_pixels(sample)
    _claim(out, planned)
    for number, (prediction, sample) in enumerate(zip(planned, samples, strict=True), 1):
        say(f"[{number}/{len(planned)}] {prediction.image}")
        pixels = read_pixels(sample)
        watching: AbstractContextManager[Mapping[Key, Shown]]
        watching = attention_maps.maps(predictor.model) if maps else nullcontext({})
        with watching as shown:
            mask = predictor(pixels)
        prediction.mask.parent.mkdir(parents=True, exist_ok=True)
        _indexed(mask).save(prediction.mask)
        overlay(pixels, mask, predictor.classes, options.window).save(prediction.overlay)
        _draw_maps(predictor, prediction, shown, pixels)
    return planned


def targets(images: Sequence[Path], out: Path, maps: Sequence[Key] = ()) -> tuple[Prediction, ...]:
    """Where the files go: below `out` as the images lie below their common folder, so that equal names do not meet."""
    # a link is called by its own name, and not by that of what it points to
    paths = list(dict.fromkeys(Path(os.path.abspath(image)) for image in images))  # noqa: PTH100
    if not paths:
        raise AttnzooError("there is no image to predict", "name image files")
    common = Path(os.path.commonpath([path.parent for path in paths]))
    stems = Counter(path.with_suffix("") for path in paths)
    planned = []
    for path in paths:
        # a.png beside a.jpg keep their suffixes; alone, they need none
        name = path.stem if stems[path.with_suffix("")] == 1 else path.name
        folder = out / path.relative_to(common).parent
        drawn = tuple(folder / f"{name}_map_{word}.png" for word in _words(maps))
        planned.append(Prediction(path, folder / f"{name}_mask.png", folder / f"{name}_overlay.png", drawn))
    return tuple(planned)


def _words(keys: Sequence[Key]) -> list[str]:
    """Site and name of each block, `skip1_ema`; its options are in the picture. A second one is `skip1_ema-2`."""
    words = [f"{site}_{re.split('[:#]', block, maxsplit=1)[0]}" for site, block in keys]
    earlier = [words[:place].count(word) for place, word in enumerate(words)]
    return [f"{word}-{count + 1}" if count else word for word, count in zip(words, earlier, strict=True)]


def _draw_maps(predictor: Predictor, prediction: Prediction, shown: Mapping[Key, Shown], pixels: np.ndarray) -> None:
    gammas = {site.name: slot.gamma for site, slot in filled(predictor.model)}
    for path, ((name, block), seen) in zip(prediction.maps, shown.items(), strict=True):
        gamma = gammas[name]
        weight = None if gamma is None else gamma.item()
        heat(pixels, seen, block, name, window=predictor.recipe.data.window, gamma=weight).save(path)


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
        for path in prediction.files:
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
