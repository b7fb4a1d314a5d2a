"""Runs → results: refuse what does not belong, rehearse what is left, train it, one folder each."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import torch

from attnzoo import training
from attnzoo.data.dataset import Dataset, prepare
from attnzoo.errors import AttnzooError
from attnzoo.results import Result
from attnzoo.training.folder import identity, is_finished
from attnzoo.workflows.attempt import Failure, Outcome, Say, Setting, attempt
from attnzoo.workflows.line import Line
from attnzoo.workflows.plan import Run
from attnzoo.workflows.rehearse import rehearse
from attnzoo.workflows.state import duration

__all__ = ["Failure", "Outcome", "Say", "Setting", "batch_sizes", "duration", "execute", "finished", "pending", "tried"]


def pending(runs: Sequence[Run], folder: Path, data: Dataset, setting: Setting) -> tuple[Run, ...]:
    """The runs that are left to do, every model among them rehearsed.

    Raises:
        AttnzooError: The data lack a split, a folder belongs to another run, or a model is impossible.
    """
    training.check_splits(data, setting.devices)
    left = tuple(run for run in runs if not finished(run, folder, data, setting))
    device = training.resolve_device(setting.device)
    models = {run.recipe.override({"training.seed": 0}).digest(): run for run in left}
    for number, run in enumerate(models.values(), 1):
        setting.say(f"rehearsing {number}/{len(models)}: {run.attention}")
        sizes = batch_sizes(run, data, device, setting.devices)
        rehearse(run.recipe, len(data.classes), sizes, device, setting.say)
    return left


def execute(
    runs: Sequence[Run], left: Sequence[Run], folder: Path, data: Dataset, setting: Setting
) -> tuple[Result, ...]:
    """The results of all runs, in their order.

    Raises:
        AttnzooError: A run failed; all others were done first.
    """
    outcomes = tried(runs, left, folder, data, setting)
    results = []
    for run in runs:
        if isinstance(outcome := outcomes[run], Failure):
            raise AttnzooError(outcome.message, outcome.hint)
        results.append(outcome)
    return tuple(results)


def tried(
    runs: Sequence[Run], left: Sequence[Run], folder: Path, data: Dataset, setting: Setting
) -> dict[Run, Outcome]:
    """What became of all runs: those that are `left` are trained, the others read; one that fails stops no other.

    A run that another process is doing is left for later, and read when that has ended.
    """
    told = _Telling(runs, left, setting)
    outcomes: dict[Run, Outcome] = {}
    for run in runs:
        if run not in left:
            setting.say(f"{told.place(run)}: finished before")
            outcomes[run] = Result.read(folder / run.folder)
    if not left:
        return outcomes
    prepare(data, progress=setting.progress)
    line = Line(left, folder, setting.say)

    def end(run: Run, outcome: Outcome) -> None:
        outcomes[run] = outcome
        told.end(run, outcome)

    if setting.jobs > 1 and len(left) > 1:
        from attnzoo.workflows.jobs import in_processes

        in_processes(line, folder, data, setting, told.begin, end)
        return outcomes
    while (taken := line.take()) is not None:
        told.begin(taken)
        if (outcome := attempt(taken, folder, data, setting)) is None:
            line.give_back(taken)
        else:
            end(taken, outcome)
    return outcomes


def finished(run: Run, folder: Path, data: Dataset, setting: Setting) -> bool:
    """Whether a run has its result below `folder`; its folder is refused if it belongs to another run."""
    return is_finished(folder / run.folder, identity(run.recipe, data, devices=setting.devices))


def batch_sizes(run: Run, data: Dataset, device: torch.device, devices: int = 1) -> tuple[int, ...]:
    """The batches worth a rehearsal: an epoch's last, maybe of a single image; on a GPU, for its memory, a full one."""
    images = -(-len(data.splits["train"].samples) // devices)
    full = min(max(1, run.recipe.training.batch_size // devices), images)
    last = min(images % full or full, 2)
    return tuple(dict.fromkeys((last, full) if device.type == "cuda" else (last,)))


class _Telling:
    """Says which run begins, of how many, and about how long the rest will take at the pace so far."""

    def __init__(self, runs: Sequence[Run], left: Sequence[Run], setting: Setting) -> None:
        self.number = {run: number for number, run in enumerate(runs, 1)}
        self.of, self.left, self.say = len(runs), len(left), setting.say
        self.at_once, self.began, self.lasted = setting.jobs, dict[Run, float](), list[float]()
        self.lock = threading.Lock()

    def place(self, run: Run) -> str:
        return f"[{self.number[run]}/{self.of}] {run}"

    def begin(self, run: Run) -> None:
        with self.lock:
            self.began[run] = time.monotonic()
            remaining = f" (about {duration(self._remaining())} left)" if self.lasted else ""
            self.say(f"{self.place(run)}{remaining}")

    def _remaining(self) -> float:
        """Seconds until the last ends, if each lasts as long as those before: what runs now has some behind it."""
        now, usual, ahead = time.monotonic(), fmean(self.lasted), self.left - len(self.lasted)
        work = usual * ahead - sum(min(usual, now - began) for began in self.began.values())
        return max(usual, work / min(self.at_once, ahead))  # the one that begins has all before it

    def end(self, run: Run, outcome: Outcome) -> None:
        with self.lock:
            self.lasted.append(time.monotonic() - self.began.pop(run))
            if isinstance(outcome, Failure):
                self.say(f"{self.place(run)} failed: {outcome.message}")
