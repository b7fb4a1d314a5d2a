"""A finished run, read whole or refused: its result, its counts and its scores of images. Loads no torch."""

import csv
import math
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from attnzoo.errors import AttnzooError
from attnzoo.results import CONFUSION, FILE, SCORE_COLUMNS, SCORES, Result


@dataclass(frozen=True)
class Finished:
    """A run that left all it should: `matrices` int64 (N, K, K) in the order of the test `images`."""

    folder: Path
    arm: str
    result: Result
    images: tuple[str, ...]
    matrices: npt.NDArray[np.int64]

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return self.result.seed

    def __str__(self) -> str:
        return f"{self.arm}, seed {self.seed}"


def read(folder: Path, name: str | None = None) -> Finished:
    """Read a finished run; `name` is what its arm is called, by default its attention.

    Raises:
        AttnzooError: The run is not finished, or its folder is half-written.
    """
    result = Result.read(folder)
    for file in (CONFUSION, SCORES):
        if not (folder / file).is_file():
            raise half_written(folder, f"`{file}` is missing")
    try:
        with (folder / CONFUSION).open("rb") as binary, np.load(binary) as arrays:
            classes, images, matrices = (arrays[key] for key in ("classes", "test_names", "test_matrices"))
    except (KeyError, ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise half_written(folder, f"`{CONFUSION}` cannot be read") from error
    if tuple(classes) != result.classes or matrices.shape != (len(images), len(classes), len(classes)):
        raise half_written(folder, f"`{CONFUSION}` is not of the classes in `{FILE}`")
    names = tuple(map(str, images))
    if twice := [image for index, image in enumerate(names) if image in names[:index]]:
        raise half_written(folder, f"`{CONFUSION}` has the image `{twice[0]}` twice")
    return Finished(folder, name or result.attention, result, names, matrices.astype(np.int64))


def below(folder: Path) -> tuple[Path, ...]:
    """The finished runs in a folder: itself, or all under it, sorted by path.

    Raises:
        AttnzooError: There is none.
    """
    found = (folder,) if (folder / FILE).is_file() else tuple(sorted(path.parent for path in folder.rglob(FILE)))
    if not found:
        raise AttnzooError(
            f"there is no finished run in `{folder}`", "name a folder in which `attnzoo train` or `ablate` has ended"
        )
    return found


def groups(run: Finished) -> dict[str, str]:
    """The group of every image that `scores.csv` has a row of."""
    return {row["image"]: row["group"] for row in _rows(run.folder)}


def values(run: Finished, metric: str) -> Mapping[tuple[str, str], float]:
    """A metric of `scores.csv` by image and class.

    Raises:
        AttnzooError: It was not scored, or is no finite number somewhere.
    """
    found: dict[tuple[str, str], float] = {}
    for row in _rows(run.folder):
        if row["metric"] != metric:
            continue
        try:
            value = float(row["value"])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise AttnzooError(
                f"`{run.folder / SCORES}` says that the {metric} of class `{row['class']}` in `{row['image']}` "
                f"is `{row['value']}`",
                "leave the run out: no mean can be taken over that",
            )
        found[row["image"], row["class"]] = value
    if not found:
        raise AttnzooError(
            f"`{run.folder / SCORES}` has no metric `{metric}`", "run it again with this attnzoo, into another folder"
        )
    return found


def half_written(folder: Path, what: str) -> AttnzooError:
    """The refusal of a folder that says it is finished, and lacks something."""
    return AttnzooError(f"`{folder}` is half-written: {what}", "delete it, and run the same command again")


def _rows(folder: Path) -> Iterator[dict[str, Any]]:
    with (folder / SCORES).open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != SCORE_COLUMNS:
            raise half_written(folder, f"`{SCORES}` has not the columns `{', '.join(SCORE_COLUMNS)}`")
        for row in reader:
            if None in row.values():
                raise half_written(folder, f"`{SCORES}` ends within line {reader.line_num}")
            yield row
