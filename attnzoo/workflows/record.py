"""`ablation.json`: which runs an ablation plans, of which recipe on which data. Loads no torch."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attnzoo.data.records import Dataset
from attnzoo.errors import AttnzooError
from attnzoo.recipe import Recipe
from attnzoo.results import environment, read_json, write_json
from attnzoo.workflows.plan import Run

FILE = "ablation.json"
LOCK = ".ablation.lock"
SCHEMA = 1

Planned = tuple[str, int, str]


def read_record(folder: Path) -> dict[str, Any]:
    """The record of an ablation.

    Raises:
        AttnzooError: There is none, or one that this attnzoo does not know.
    """
    record = read_json(
        folder / FILE,
        f"`{folder}` holds no ablation: there is no `{FILE}`",
        "name a folder that `attnzoo ablate` wrote",
    )
    if record.get("schema") != SCHEMA:
        raise AttnzooError(f"`{folder / FILE}` is not of schema {SCHEMA}", "give another folder")
    return record


def planned(folder: Path, arms: Iterable[str] | None = None, seeds: Iterable[int] | None = None) -> tuple[Planned, ...]:
    """Arm, seed and folder of the runs in a record; of some arms and seeds, where asked."""
    asked_arms, asked_seeds = (None if words is None else set(words) for words in (arms, seeds))
    return tuple(
        (one["arm"], one["seed"], one["folder"])
        for one in read_record(folder)["runs"]
        if (asked_arms is None or one["arm"] in asked_arms) and (asked_seeds is None or one["seed"] in asked_seeds)
    )


def add(folder: Path, recipe: Recipe, data: Dataset, runs: Sequence[Run]) -> None:
    """Write down what is going to be run, beside what earlier calls and other processes wrote down."""
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        known = planned(folder) if (folder / FILE).exists() else ()
        ours = [(str(run.attention), run.seed, run.folder) for run in runs]
        record = {
            "schema": SCHEMA,
            "recipe": recipe.name,
            "data": {
                "root": str(data.root.resolve()),
                "format": data.format,
                "digest": data.digest,
                "classes": list(data.classes),
                "images": {name: len(split.samples) for name, split in data.splits.items()},
            },
            "runs": [
                {"arm": arm, "seed": seed, "folder": place} for arm, seed, place in dict.fromkeys((*known, *ours))
            ],
            **environment(),
        }
        write_json(folder / FILE, record)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process rewrites the record."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    with (folder / LOCK).open("a", encoding="utf-8") as file:
        fcntl.lockf(file.fileno(), fcntl.LOCK_EX)
        yield
