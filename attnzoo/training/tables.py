"""What a run leaves for statistics: per-image scores as CSV, and the counts behind them."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from attnzoo import metrics
from attnzoo.results import replace, write_text
from attnzoo.training.scoring import Scored

SCORES = "scores.csv"
CONFUSION = "confusion.npz"
COLUMNS = ("image", "group", "class", "metric", "value")

Row = tuple[str, str, str, str, float]


def rows(scored: Scored, classes: Sequence[str]) -> tuple[Row, ...]:
    """Image, group, class, metric, value: a row for every score of a foreground class that an image defines."""
    return tuple(
        (scored.names[image], scored.groups[image], name, metric, value)
        for image, name, metric, value in metrics.per_image(scored.matrices, classes)
        if name != classes[0]
    )


def write_scores(folder: Path, scored: Scored, classes: Sequence[str]) -> None:
    """Write `scores.csv`; values in the shortest form that reads back as the same number."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(rows(scored, classes))
    write_text(folder / SCORES, text.getvalue())


def write_confusion(folder: Path, splits: Mapping[str, Scored], classes: Sequence[str]) -> None:
    """Write `confusion.npz`: `classes`, and per split `<split>_names` (N,) and `<split>_matrices` int64 (N, K, K)."""
    arrays: dict[str, Any] = {"classes": np.array(classes)}
    for split, scored in splits.items():
        arrays |= {f"{split}_names": np.array(scored.names), f"{split}_matrices": scored.matrices.numpy()}
    replace(folder / CONFUSION, lambda file: np.savez_compressed(file, **arrays))
