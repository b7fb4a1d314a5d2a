"""How far an ablation is, asked from another terminal: nothing is written, no torch is loaded."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from attnzoo.errors import AttnzooError
from attnzoo.report import Table
from attnzoo.results import RUN, read_json
from attnzoo.workflows.record import FILE, planned
from attnzoo.workflows.state import State, duration, pace, state


@dataclass(frozen=True)
class Row:
    """One run of the folder."""

    arm: str
    seed: int
    state: State


@dataclass(frozen=True)
class Status:
    """All runs of a folder, and the seconds that the rest will take, with how that is guessed.

    `seconds` is None where nothing is left, or nothing tells.
    """

    folder: Path
    rows: tuple[Row, ...]
    seconds: float | None
    how: str

    def count(self, *words: str) -> int:
        """How many runs are in one of these states."""
        return sum(row.state.word in words for row in self.rows)


def status(folder: Path) -> Status:
    """Look at the folder of an ablation, a reproduction or a single run.

    Raises:
        AttnzooError: It is none of them.
    """
    found = _planned(folder) if (folder / FILE).is_file() else _begun(folder)
    rows = tuple(Row(arm, seed, state(place)) for arm, seed, place in found)
    return Status(folder, rows, *_expected(rows, {(arm, seed): place for arm, seed, place in found}))


def table(now: Status) -> Table:
    """A row per arm, a column per seed; below, counts, failures and the expected end."""
    arms = tuple(dict.fromkeys(row.arm for row in now.rows))
    seeds = sorted({row.seed for row in now.rows})
    cells = {(row.arm, row.seed): _cell(row.state) for row in now.rows}
    rows = tuple((arm, *(cells.get((arm, seed), "") for seed in seeds)) for arm in arms)
    words = ("finished", "running", "interrupted", "failed", "left")
    counts = ", ".join(f"{now.count(word)} {word}" for word in words if now.count(word))
    failures = (f"{row.arm}, seed {row.seed} {row.state}" for row in now.rows if row.state.word == "failed")
    header = ("attention", *(f"seed {seed}" for seed in seeds))
    notes = (
        f"{len(now.rows)} run{'s' * (len(now.rows) != 1)}: {counts}",
        *failures,
        *([end] if (end := _end(now)) else []),
    )
    return Table(header, rows, str(now.folder), notes, align="l" * len(header))


def record(now: Status) -> dict[str, Any]:
    """A status ready for JSON."""
    runs = [
        {
            "arm": row.arm,
            "seed": row.seed,
            "state": row.state.word,
            "epoch": row.state.epoch,
            "epochs": row.state.epochs,
            **({"why": row.state.why} if row.state.why else {}),
        }
        for row in now.rows
    ]
    left = None if now.seconds is None else round(now.seconds)
    return {"schema": 1, "folder": str(now.folder), "runs": runs, "seconds_left": left, "estimated": now.how}


Found = tuple[tuple[str, int, Path], ...]


def _planned(folder: Path) -> Found:
    return tuple((arm, seed, folder / place) for arm, seed, place in planned(folder))


def _begun(folder: Path) -> Found:
    """Runs that have begun, where no record says which are to come: a reproduction's, or the folder's own."""
    places = [folder] if (folder / RUN).is_file() else sorted(path.parent for path in folder.rglob(RUN))
    if not places:
        raise AttnzooError(
            f"`{folder}` holds neither an ablation nor a run",
            "name a folder that `attnzoo ablate` or `train` writes to",
        )
    found = []
    for place in places:
        recipe = read_json(place / RUN, f"`{place}` holds no run", "name another folder")["identity"]["recipe"]
        seed = recipe["training"]["seed"]
        # a reproduction puts the seeds of a model side by side; any other folder is a run of its own
        row = place.parent if place != folder and place.name == f"seed-{seed}" else place
        name = recipe["model"]["attention"] if row == folder else row.relative_to(folder).as_posix()
        found.append((name, seed, place))
    return tuple(found)


def _expected(rows: Sequence[Row], places: Mapping[tuple[str, int], Path]) -> tuple[float | None, str]:
    """Seconds until the last run ends, and how that is guessed: epochs left, at the pace of those that ended."""
    ahead = [row for row in rows if row.state.word in ("running", "interrupted", "left")]
    if not ahead:
        return None, ""
    paces: dict[str, list[tuple[float, int]]] = {}
    for row in rows:
        if (found := pace(places[row.arm, row.seed], row.state)) is not None:
            paces.setdefault(row.arm, []).append(found)
    known = [one for of in paces.values() for one in of]
    if not known:
        return None, "no epoch has been timed yet"
    usual = max(epochs for _, epochs in known)
    overall = fmean(seconds for seconds, _ in known)
    rest = []
    for row in ahead:
        own = fmean(seconds for seconds, _ in paces[row.arm]) if row.arm in paces else overall
        rest.append(own * ((row.state.epochs or usual) - row.state.epoch))
    at_once = max(1, sum(row.state.word == "running" for row in rows))
    how = f"from {overall:.3g} s an epoch so far, {at_once} run{'s' * (at_once != 1)} at a time"
    return max(sum(rest) / at_once, *rest) if at_once > 1 else sum(rest), how


def _cell(now: State) -> str:
    at = f"{now.epoch} of {now.epochs}" if now.epochs is not None else str(now.epoch)
    return {"running": f"epoch {at}", "interrupted": f"interrupted at {at}"}.get(now.word, now.word)


def _end(now: Status) -> str:
    if not now.count("running", "interrupted", "left"):
        return ""
    if now.seconds is None:
        if now.count("running"):
            return f"no end can be told: {now.how}"
        return f"nothing runs now; the same command goes on, and how long it would take is unknown: {now.how}"
    if not now.count("running"):
        return f"nothing runs now; the same command goes on, and would take about {duration(now.seconds)} ({now.how})"
    day = "%H:%M" if now.seconds < 12 * 3600 else "%a %H:%M"
    clock = time.strftime(day, time.localtime(time.time() + now.seconds))
    return f"expected end {clock}, in about {duration(now.seconds)} ({now.how})"
