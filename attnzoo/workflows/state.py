"""How far a run is, seen from another process: nothing is written, no torch is loaded."""

import json
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from attnzoo.errors import AttnzooError
from attnzoo.results import CURVES, FILE, LOCK, RUN, read_json, write_json

FAILED = "failed.json"

Word = Literal["finished", "running", "failed", "interrupted", "left"]


@dataclass(frozen=True)
class State:
    """One run: how far it is, how many of its `epochs` are done, and since when; times are seconds since 1970."""

    word: Word
    epoch: int = 0
    epochs: int | None = None
    began: float | None = None
    latest: float | None = None
    why: str = ""

    def __str__(self) -> str:
        of = f" of {self.epochs}" if self.epochs is not None else ""
        at = f" after epoch {self.epoch}{of}" if self.epoch else " before its first epoch ended"
        told = {
            "finished": "finished",
            "running": f"runs: epoch {self.epoch + 1}{of}" if self.epoch != self.epochs else "runs: is being scored",
            "failed": f"failed: {self.why}",
            "interrupted": f"was interrupted{at}",
            "left": "has not begun",
        }
        return told[self.word]


def state(folder: Path) -> State:
    """How far the run of a folder is."""
    if (folder / FILE).is_file():
        return State("finished")
    if not (folder / RUN).is_file():
        return State("running" if in_use(folder) else "left")
    epochs = _epochs(folder)
    began = (folder / RUN).stat().st_mtime
    try:
        text = (folder / CURVES).read_text(encoding="utf-8")
        epoch, latest = max(0, text.count("\n") - 1), (folder / CURVES).stat().st_mtime
    except FileNotFoundError:
        epoch, latest = 0, began
    if in_use(folder):
        return State("running", epoch, epochs, began, latest)
    if (why := failure(folder)) is not None:
        return State("failed", epoch, epochs, began, latest, why)
    return State("interrupted", epoch, epochs, began, latest)


def in_use(folder: Path) -> bool:
    """Whether another process works in a run's folder. Asks the system, and takes no lock itself."""
    if sys.platform == "win32":
        return False
    import fcntl

    # struct flock: a write lock on the whole file would be refused by whoever holds one
    form, fields, kind = (
        ("qqihh", (0, 0, 0, fcntl.F_WRLCK, 0), 3)
        if sys.platform == "darwin"
        else ("hhqqi", (fcntl.F_WRLCK, 0, 0, 0, 0), 0)
    )
    try:
        with (folder / LOCK).open("rb") as file:
            answer = fcntl.fcntl(file.fileno(), fcntl.F_GETLK, struct.pack(form, *fields))
    except OSError:
        return False
    return bool(struct.unpack(form, answer)[kind] != fcntl.F_UNLCK)


def pace(folder: Path, now: State) -> tuple[float, int] | None:
    """Seconds that an epoch of a run takes, scoring included where it is finished, and its epochs; None if none ended.

    Of a run that was interrupted and goes on, only epochs since then have a known duration: it counts once finished.
    """
    if now.word == "finished":
        try:
            result = read_json(folder / FILE, "", "")
            epochs = int(result["identity"]["recipe"]["training"]["epochs"])
            return float(result["duration_s"]) / epochs, epochs
        except (AttnzooError, KeyError, TypeError, ValueError, ZeroDivisionError):
            return None
    if now.word == "running" and now.epoch and now.epochs and now.began is not None and now.latest is not None:
        return (now.latest - now.began) / now.epoch, now.epochs
    return None


def duration(seconds: float) -> str:
    """Seconds as a person says them: `40 s`, `12 min`, `3.5 h`."""
    return (
        f"{seconds:.0f} s"
        if seconds < 100
        else f"{seconds / 60:.0f} min"
        if seconds < 6000
        else f"{seconds / 3600:.1f} h"
    )


def failure(folder: Path) -> str | None:
    """Why the last try of a run failed, if it did."""
    try:
        told = json.loads((folder / FAILED).read_text(encoding="utf-8"))
        return str(told["message"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def note_failure(folder: Path, message: str, hint: str | None = None, trace: str = "") -> None:
    """Write down that a run that had begun failed; the next try takes it away."""
    if (folder / RUN).is_file():
        write_json(folder / FAILED, {"message": message, "hint": hint, "traceback": trace.splitlines()})


def forget_failure(folder: Path) -> None:
    """A new try begins."""
    (folder / FAILED).unlink(missing_ok=True)


def _epochs(folder: Path) -> int | None:
    try:
        run: dict[str, Any] = read_json(folder / RUN, "", "")
        return int(run["identity"]["recipe"]["training"]["epochs"])
    except (AttnzooError, KeyError, TypeError, ValueError):
        return None
