"""How far a run is, seen from another process: nothing is written, no torch is loaded."""

import json
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from attnzoo.errors import AttnzooError
from attnzoo.results import CURVES, FILE, LOCK, RUN, epochs_done, read_json, write_json

FAILED = "failed.json"

Word = Literal["finished", "running", "failed", "interrupted", "left"]


@dataclass(frozen=True)
class State:
    """One run: how far it is, how many of its `epochs` are done, and since when; times are seconds since 1970.

    `before` of them were done by an earlier process, before it `began`.
    """

    word: Word
    epoch: int = 0
    epochs: int | None = None
    began: float | None = None
    latest: float | None = None
    why: str = ""
    before: int = 0

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
    began, latest = (_changed(folder / name) for name in (RUN, CURVES))
    about = epochs_done(folder), _planned(folder), began, latest or began
    if in_use(folder):
        return State("running", *about, before=_before(folder))
    if (why := failure(folder)) is not None:
        return State("failed", *about, why)
    return State("interrupted", *about)


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

    Of a run that was interrupted and goes on, only epochs since then have a known duration.
    """
    if now.word == "finished":
        try:
            result = read_json(folder / FILE, "", "")
            epochs = int(result["identity"]["recipe"]["training"]["epochs"])
            return float(result["duration_s"]) / epochs, epochs
        except (AttnzooError, KeyError, TypeError, ValueError, ZeroDivisionError):
            return None
    if now.word == "running" and now.epochs and now.began is not None and now.latest is not None:
        ended, took = now.epoch - now.before, now.latest - now.began
        # a clock that was set back gives less than no time
        return (took / ended, now.epochs) if ended > 0 and took > 0 else None
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


def note_failure(folder: Path, message: str, hint: str | None = None, trace: str = "") -> bool:
    """Write down that a run that had begun failed; the next try takes it away. Whether it could be written."""
    if not (folder / RUN).is_file():
        return False
    try:
        write_json(folder / FAILED, {"message": message, "hint": hint, "traceback": trace.splitlines()})
    except (OSError, AttnzooError):
        return False
    return True


def forget_failure(folder: Path) -> None:
    """A new try begins."""
    (folder / FAILED).unlink(missing_ok=True)


def _changed(file: Path) -> float | None:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return None


def _planned(folder: Path) -> int | None:
    try:
        run: dict[str, Any] = read_json(folder / RUN, "", "")
        return int(run["identity"]["recipe"]["training"]["epochs"])
    except (AttnzooError, KeyError, TypeError, ValueError):
        return None


def _before(folder: Path) -> int:
    """Epochs that were done when the process that works in the folder began."""
    try:
        return int((folder / LOCK).read_text(encoding="utf-8").splitlines()[1])
    except (OSError, ValueError, IndexError):
        return 0
