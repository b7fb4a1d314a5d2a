"""What a run leaves for statistics: per-image scores as CSV, and the counts behind them."""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from attnzoo import metrics
from attnzoo.results import ALL, CONFUSION, SCORE_COLUMNS, SCORES, replace, write_text
from attnzoo.training.scoring import Scored

Row = tuple[str, str, str, str, float]


def rows(scored: Scored, classes: Sequence[str]) -> tuple[Row, ...]:
    """Image, group, class, metric, value: a row for every score of a foreground class that an image defines.

    Scores of overlap come first, then a closer look's, if one was taken: `true_pixels` (0 where a class is predicted
    that is not there), `hd95` in pixels, `nsd`; and `ece`, of all classes, at an image's end.
    """
    overlap = [row for row in metrics.per_image(scored.matrices, classes) if row[1] != classes[0]]
    place = {name: index for index, name in enumerate((*classes, ALL))}
    found = sorted([*overlap, *_closer(scored, classes)], key=lambda row: (row[0], place[row[1]]))
    return tuple(
        (scored.names[image], scored.groups[image], name, metric, value) for image, name, metric, value in found
    )


def _closer(scored: Scored, classes: Sequence[str]) -> Iterator[tuple[int, str, str, float]]:
    """Image, class, metric and value of what the looks say."""
    true_pixels = scored.matrices.sum(2).tolist()
    for image, look in enumerate(scored.looks):
        for index, boundary in enumerate(look.boundaries, 1):
            if boundary is not None:
                yield image, classes[index], "true_pixels", true_pixels[image][index]
                yield image, classes[index], "hd95", boundary.hd95
                yield image, classes[index], "nsd", boundary.nsd
        if not math.isnan(error := metrics.calibration_error(look.bins)):
            yield image, ALL, "ece", error


def write_scores(folder: Path, scored: Scored, classes: Sequence[str]) -> None:
    """Write `scores.csv`; values in the shortest form that reads back as the same number."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(SCORE_COLUMNS)
    table.writerows(rows(scored, classes))
    write_text(folder / SCORES, text.getvalue())


def write_confusion(folder: Path, splits: Mapping[str, Scored], classes: Sequence[str]) -> None:
    """Write `confusion.npz`: `classes`, and per split `<split>_names` (N,) and `<split>_matrices` int64 (N, K, K)."""
    arrays: dict[str, Any] = {"classes": np.array(classes)}
    for split, scored in splits.items():
        arrays |= {f"{split}_names": np.array(scored.names), f"{split}_matrices": scored.matrices.numpy()}
    replace(folder / CONFUSION, lambda file: np.savez_compressed(file, **arrays))
