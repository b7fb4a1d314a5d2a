"""Runs → results: refuse what does not belong, rehearse what is left, train it, one folder each."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from attnzoo import training
from attnzoo.data.dataset import Dataset, prepare
from attnzoo.registry import Plugin
from attnzoo.results import Result
from attnzoo.training.folder import identity, is_finished
from attnzoo.workflows.plan import Run
from attnzoo.workflows.rehearse import rehearse

Say = Callable[[str], None]


@dataclass(frozen=True)
class Setting:
    """Where and how runs are executed; the number of `devices` alone is part of their identity."""

    device: str = "auto"
    workers: int = 0
    plugins: tuple[Plugin, ...] = ()
    progress: bool = False
    say: Say = lambda line: None
    devices: int = 1
    deterministic: bool = False


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
    """The results of all runs, in their order: those that are `left` are trained, the others read."""
    if left:
        prepare(data, progress=setting.progress)
    results, began, done = [], time.monotonic(), 0
    for number, run in enumerate(runs, 1):
        if run not in left:
            setting.say(f"[{number}/{len(runs)}] {run}: finished before")
            results.append(Result.read(folder / run.folder))
            continue
        pace = (time.monotonic() - began) / done if done else None
        remaining = f" (about {duration(pace * (len(left) - done))} left)" if pace is not None else ""
        setting.say(f"[{number}/{len(runs)}] {run}{remaining}")
        results.append(
            training.run(
                run.recipe,
                folder / run.folder,
                data=data,
                device=setting.device,
                workers=setting.workers,
                devices=setting.devices,
                plugins=setting.plugins,
                progress=setting.progress,
                deterministic=setting.deterministic,
            )
        )
        done += 1
    return tuple(results)


def finished(run: Run, folder: Path, data: Dataset, setting: Setting) -> bool:
    """Whether a run has its result below `folder`; its folder is refused if it belongs to another run."""
    return is_finished(folder / run.folder, identity(run.recipe, data, devices=setting.devices))


def batch_sizes(run: Run, data: Dataset, device: torch.device, devices: int = 1) -> tuple[int, ...]:
    """The batches worth a rehearsal: an epoch's last, maybe of a single image; on a GPU, for its memory, a full one."""
    images = -(-len(data.splits["train"].samples) // devices)
    full = min(max(1, run.recipe.training.batch_size // devices), images)
    last = min(images % full or full, 2)
    return tuple(dict.fromkeys((last, full) if device.type == "cuda" else (last,)))


def duration(seconds: float) -> str:
    """Seconds as a person says them: `40 s`, `12 min`, `3.5 h`."""
    return (
        f"{seconds:.0f} s"
        if seconds < 100
        else f"{seconds / 60:.0f} min"
        if seconds < 6000
        else f"{seconds / 3600:.1f} h"
    )
