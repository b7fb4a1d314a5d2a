"""A finished run, opened again: its model, its scores on other data, its prediction for an image."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from attnzoo.data import Dataset
from attnzoo.data.transforms import pipeline
from attnzoo.errors import AttnzooError, listing
from attnzoo.models import empty_model
from attnzoo.results import Result
from attnzoo.training.checkpoints import load_best
from attnzoo.training.devices import autocast, resolve_device
from attnzoo.training.folder import read_run
from attnzoo.training.scoring import label_map, score
from attnzoo.training.surroundings import cpu_threads
from attnzoo.training.tables import Row, rows


def load(run_folder: Path | str) -> nn.Module:
    """The best weights of a finished run in its model: on the CPU, in evaluation mode.

    Maps float32 (B, in_channels, H, W), prepared as in training (`Predictor` does), to logits (B, classes, H, W).
    `Result.read(run_folder)` tells the classes.

    Raises:
        AttnzooError: The run is not finished, or its files or plugins are gone or changed.
    """
    folder = Path(run_folder)
    Result.read(folder)
    recipe, classes = read_run(folder)
    model = empty_model(recipe, len(classes))
    load_best(folder, model)
    return model.eval()


@dataclass(frozen=True)
class Evaluation:
    """A run on a split: the summary as `result.json` has it of `test`, and the rows of `scores.csv`."""

    split: str
    summary: dict[str, Any]
    rows: tuple[Row, ...]


def evaluate(
    run_folder: Path | str,
    data: Dataset,
    split: str = "test",
    *,
    device: str = "auto",
    workers: int = 0,
    resolution: str | None = None,
    absent: str | None = None,
    progress: bool = False,
) -> Evaluation:
    """Score a finished run on a split of a data set; on the run's own data, the numbers of its `result.json`.

    Args:
        resolution, absent: As in a recipe's `[scores]`, where they shall differ from the run's own.

    Raises:
        AttnzooError: As `load`; or the data's classes are not the run's.
    """
    folder, where = Path(run_folder), resolve_device(device)
    model = load(folder).to(where)
    recipe, classes = read_run(folder)
    if data.classes != classes:
        raise AttnzooError(
            f"`{folder}` knows the classes {listing(classes, last='and')}, "
            f"and the data have {listing(data.classes, last='and')}",
            "evaluate on data with the same classes in the same order",
        )
    changes = {"scores.resolution": resolution, "scores.absent": absent}
    recipe = recipe.override({path: value for path, value in changes.items() if value is not None})
    # sums depend on the number of threads, and the run's own shall come out again
    with cpu_threads(Result.read(folder).identity["threads"]):
        scored = score(model, data, split, recipe, where, workers=workers, progress=progress, closely=True)
    return Evaluation(split, scored.summary, rows(scored, classes))


class Predictor:
    """A finished run as a function from images to masks.

    Args:
        run_folder: Of a finished run.
        device: `auto`, `cpu`, `cuda`, …

    Attributes:
        classes: What the values of a mask mean; 0 is the background.
        recipe: The run's recipe.
    """

    def __init__(self, run_folder: Path | str, device: str = "auto") -> None:
        self.device = resolve_device(device)
        self.model = load(run_folder).to(self.device)
        self.recipe, self.classes = read_run(Path(run_folder))
        self._pipeline = pipeline(self.recipe.data, self.recipe.model.in_channels, train=False)

    @torch.inference_mode()
    def __call__(self, image: npt.NDArray[np.uint8 | np.uint16]) -> npt.NDArray[np.uint8]:
        """Class indices at the image's own size: (H, W) or (H, W, 3), as decoded, to uint8 (H, W)."""
        with autocast(self.device, self.recipe.training.precision):
            logits = self.model(self._pipeline.image(image)[None].to(self.device))
        mask: npt.NDArray[np.uint8] = label_map(logits[0].float(), image.shape[:2]).to(torch.uint8).cpu().numpy()
        return mask
