"""One run, tried: its result, or why it failed."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from attnzoo import training
from attnzoo.data.dataset import Dataset
from attnzoo.errors import AttnzooError, first_line
from attnzoo.registry import Plugin
from attnzoo.results import Result
from attnzoo.training.folder import InUseError
from attnzoo.workflows.plan import Run
from attnzoo.workflows.state import forget_failure, note_failure

Say = Callable[[str], None]


def silent(line: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Setting:
    """Where and how runs are executed; the number of `devices` alone is part of their identity.

    `jobs` runs are done at a time, each in a process of its own, if it is more than one; all on the one `device`.
    """

    device: str = "auto"
    workers: int = 0
    plugins: tuple[Plugin, ...] = ()
    progress: bool = False
    say: Say = silent
    devices: int = 1
    deterministic: bool = False
    jobs: int = 1


@dataclass(frozen=True)
class Failure:
    """Why a run has no result."""

    message: str
    hint: str | None = None


Outcome = Result | Failure


def attempt(run: Run, folder: Path, data: Dataset, setting: Setting) -> Outcome | None:
    """Train and score a run, or go on with it. None where another process is doing so.

    A failure is written down in the run's folder, for `attnzoo status` and the report.
    """
    place = folder / run.folder
    try:
        forget_failure(place)
        return training.run(
            run.recipe,
            place,
            data=data,
            device=setting.device,
            workers=setting.workers,
            devices=setting.devices,
            plugins=setting.plugins,
            progress=setting.progress,
            deterministic=setting.deterministic,
        )
    except InUseError:
        return None
    except AttnzooError as error:
        note_failure(place, error.message, error.hint)
        return Failure(error.message, error.hint)
    except Exception as error:  # a block of somebody's own can fail in any way
        noted = note_failure(place, why := f"{type(error).__name__}: {first_line(error)}", trace=traceback.format_exc())
        return Failure(why, f"the traceback is in `{place}`" if noted else None)
