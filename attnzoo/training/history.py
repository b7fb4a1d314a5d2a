"""What every epoch brought: kept in the resume file, shown in `curves.csv`."""

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from attnzoo.errors import AttnzooError
from attnzoo.results import CURVES, write_text

COLUMNS = ("epoch", "learning_rate", "train_loss", "val_loss", "val_macro_dice", "val_batch_dice")


@dataclass
class History:
    """Rows of `curves.csv`, an epoch each from 1 on, and how long each epoch took in seconds.

    Seconds are no column: everything in `curves.csv` is the same again when a run is resumed, or repeated.
    """

    rows: list[dict[str, float]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Self:
        """From `state()`."""
        return cls([dict(row) for row in state["rows"]], list(state["seconds"]))

    def state(self) -> dict[str, Any]:
        """Plain data, for a file that is read without pickle."""
        return {"rows": [dict(row) for row in self.rows], "seconds": list(self.seconds)}

    @property
    def epochs(self) -> int:
        """How many epochs are done."""
        return len(self.rows)

    def add(self, row: Mapping[str, float], seconds: float, select: str) -> None:
        """Take an epoch in.

        Raises:
            AttnzooError: A loss, or the score that selects, is not a finite number: it must not become the best.
        """
        for name in ("train_loss", "val_loss"):
            if not math.isfinite(row[name]):
                raise not_finite(name, row[name], f"in epoch {int(row['epoch'])}")
        if not math.isfinite(score := row[f"val_{select}"]):
            raise AttnzooError(
                f"the validation `{select}` is `{score}` after epoch {int(row['epoch'])}, so it cannot select a model",
                "no foreground class can be scored there: see what `attnzoo data check` says of `valid`",
            )
        self.rows.append({column: row[column] for column in COLUMNS})
        self.seconds.append(seconds)

    def best(self, select: str) -> tuple[int, float]:
        """The best epoch, the earliest of equals, and its validation score."""
        row = max(self.rows, key=lambda row: row[f"val_{select}"])
        return int(row["epoch"]), row[f"val_{select}"]

    def write(self, folder: Path) -> None:
        """Write `curves.csv`, whole; what is undefined stays empty."""
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows(["" if math.isnan(row[column]) else row[column] for column in COLUMNS] for row in self.rows)
        write_text(folder / CURVES, text.getvalue())


def not_finite(name: str, value: float, when: str) -> AttnzooError:
    """The refusal of a loss that is no number."""
    return AttnzooError(
        f"`{name}` is `{value}` {when}; nothing was kept of it",
        "take a smaller `training.learning_rate`, or `training.precision = 32-true`",
    )
