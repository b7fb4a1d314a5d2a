"""Folders of runs as training leaves them, written without training."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from attnzoo import metrics
from attnzoo.recipe import Recipe
from attnzoo.results import Result
from attnzoo.spec import parse

CLASSES = ("background", "a", "b")
IMAGES = tuple(f"p{patient}_s{number}.png" for patient in range(4) for number in range(3))


def counts(missed: float, images: Sequence[str] = IMAGES, size: int = 100) -> np.ndarray:
    """A matrix for each image: `size` true pixels of `a` and `b`, of which a share is missed, more in some images."""
    matrices = np.zeros((len(images), 3, 3), np.int64)
    for index, matrix in enumerate(matrices):
        lost = round(size * min(1, missed * (1 + index % 3 / 10)))
        matrix[0, 0] = 1000
        matrix[[1, 2], [1, 2]] = size - lost
        matrix[[1, 2], 0] = lost
    return matrices


def finished(
    folder: Path,
    arm: str = "none",
    seed: int = 0,
    missed: float = 0.3,
    *,
    images: Sequence[str] = IMAGES,
    classes: Sequence[str] = CLASSES,
    matrices: np.ndarray | None = None,
    data: str = "d" * 64,
    changes: Mapping[str, Any] | None = None,
    rows: Sequence[tuple[str, str, str, float | str]] = (),
) -> Path:
    """A finished run; `rows` are further rows of `scores.csv`: image, class, metric, value."""
    matrices = counts(missed, images) if matrices is None else matrices
    recipe = _recipe(arm, seed, changes)
    identity = begun(folder, arm, seed, data=data, changes=changes)
    np.savez(folder / "confusion.npz", classes=np.array(classes), test_names=np.array(images), test_matrices=matrices)
    with (folder / "scores.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("image", "group", "class", "metric", "value"))
        for index, name, metric, value in metrics.per_image(matrices, classes):
            if name != classes[0]:
                table.writerow((images[index], images[index].partition("_")[0], name, metric, value))
        for image, name, metric, value in rows:
            table.writerow((image, image.partition("_")[0], name, metric, value))
    summary = metrics.summary(matrices, classes, absent=recipe.scores.absent) | {"resolution": recipe.scores.resolution}
    result = Result(
        attention=arm,
        seed=seed,
        classes=tuple(classes),
        parameters=10,
        identity=identity,
        best_epoch=1,
        selected_by="macro_dice",
        best_score=0.5,
        validation=summary,
        test=summary,
        duration_s=20.0,
    )
    result.write(folder)
    return folder


def begun(
    folder: Path,
    arm: str = "none",
    seed: int = 0,
    epochs: int = 0,
    *,
    data: str = "d" * 64,
    changes: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A run that wrote `run.json`, and `epochs` rows of `curves.csv`."""
    folder.mkdir(parents=True, exist_ok=True)
    identity = {"recipe": _recipe(arm, seed, changes).decides(), "data": data, "plugins": {}, "threads": 1}
    (folder / "run.json").write_text(json.dumps({"schema": 1, "identity": identity}), encoding="utf-8")
    if epochs:
        (folder / "curves.csv").write_text("epoch\n" + "".join(f"{number}\n" for number in range(epochs)))
    return identity


def planned(folder: Path, *runs: tuple[str, int]) -> Path:
    """An ablation's record of arms and seeds."""
    record = {"schema": 1, "runs": [{"arm": arm, "seed": seed, "folder": place(arm, seed)} for arm, seed in runs]}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ablation.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


def ablation(folder: Path, *runs: tuple[str, int], lacking: Sequence[tuple[str, int]] = ()) -> Path:
    """An ablation whose runs are finished, except those that are `lacking`; other arms miss less than `none`."""
    planned(folder, *runs)
    for arm, seed in runs:
        if (arm, seed) not in lacking:
            finished(folder / place(arm, seed), arm, seed, 0.3 if arm == "none" else 0.2)
    return folder


def place(arm: str, seed: int) -> str:
    """Where an ablation puts a run."""
    return f"{parse(arm).folder}/seed-{seed}"


def _recipe(arm: str, seed: int, changes: Mapping[str, Any] | None) -> Recipe:
    own = {"model.attention": arm, "training.seed": seed, "training.epochs": 10, "data.group_pattern": r"^(p\d+)"}
    return Recipe().override(own | dict(changes or {}))
