"""One run: recipe and data in, a folder and a Result out."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attnzoo import results
from attnzoo.data import Dataset, open_dataset
from attnzoo.data.phantom import default_phantom
from attnzoo.insertion import insertions
from attnzoo.measure.parameters import parameters
from attnzoo.models import empty_model
from attnzoo.recipe import Recipe
from attnzoo.registry import Plugin
from attnzoo.results import Result
from attnzoo.training import folder as folders
from attnzoo.training.checkpoints import load_best, resume
from attnzoo.training.checks import check_job, check_splits, class_weights
from attnzoo.training.devices import check_devices, describe, resolve_device
from attnzoo.training.history import History
from attnzoo.training.job import Job
from attnzoo.training.scoring import score
from attnzoo.training.surroundings import cpu_threads, determinism, stoppable
from attnzoo.training.tables import write_confusion, write_scores


def run(
    recipe: Recipe,
    folder: Path | str,
    *,
    data: Dataset | Path | str | None = None,
    device: str = "auto",
    devices: int = 1,
    workers: int = 0,
    progress: bool = True,
    plugins: Sequence[Plugin | Path | str] = (),
    deterministic: bool = False,
    threads: int | None = None,
) -> Result:
    """Train a recipe's model, keep the best epoch, and score it on `valid` and `test`.

    The same call again returns the result of a finished run, and goes on with an interrupted one: on the CPU to the
    same bits as if it had not been interrupted, on a GPU within the tolerance of its arithmetic, or to the same bits
    with `deterministic`.

    Args:
        recipe: What decides the numbers.
        folder: The run's own folder, new, empty, or from this call before.
        data: With the splits `train`, `valid` and `test`, opened by `recipe.data`; or its folder. Without any, the
            phantom head CT, drawn into the cache folder.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        devices: Processes that share `training.batch_size`, a device each (DDP). Python starts them anew, so a script
            needs `if __name__ == "__main__":`.
        workers: Processes that load images for each of them; they change no number.
        progress: A bar, or a line for every epoch, on stderr.
        plugins: Files that register blocks; part of the run's identity.
        deterministic: torch's deterministic algorithms, slower, for the same bits again on a GPU.
        threads: CPU threads, part of the run's identity; by default torch's present number.

    Raises:
        AttnzooError: What is asked is impossible, the folder belongs to something else or is in use, or a loss or the
            selecting score is no finite number.
        SystemExit: 143, at SIGTERM. KeyboardInterrupt: at SIGINT. Neither leaves a result, and both can be resumed.
    """
    where = resolve_device(device)
    check_devices(recipe, where, devices)
    if not isinstance(data, Dataset):
        root = default_phantom(progress=progress) if data is None else Path(data)
        data = open_dataset(root, recipe.data, progress=progress)
    check_splits(data, devices)
    known = folders.loaded(plugins)
    job = Job(recipe, Path(folder), data, where, devices, workers, progress, known, deterministic)
    with cpu_threads(threads):
        wanted = folders.identity(recipe, data, devices=devices)
        if folders.is_finished(job.folder, wanted):
            return Result.read(job.folder)
        check_job(job)
        # on a CPU all algorithms are deterministic, and some are slower for being asked
        with stoppable(), determinism(deterministic and where.type != "cpu"), folders.locked(job.folder):
            # asked again, now that nobody else can finish or claim it
            if folders.is_finished(job.folder, wanted):
                return Result.read(job.folder)
            folders.begin(job.folder, wanted, recipe, data, known)
            return _finish(job, _train(job), wanted)


def _train(job: Job) -> History:
    """Train what is left to train."""
    history = resume(job.folder, job.recipe.training.select)
    if history.epochs == job.recipe.training.epochs:
        return history
    # importing lightning takes seconds, which a finished run need not wait for
    from attnzoo.training.fit import fit

    return fit(job, history, class_weights(job))


def _finish(job: Job, history: History, wanted: dict[str, Any]) -> Result:
    """Score the best weights and write all that a finished run has, `result.json` last."""
    began = time.monotonic()
    recipe, data = job.recipe, job.data
    model = empty_model(recipe, len(data.classes))
    load_best(job.folder, model)
    model.eval().to(job.device)
    scored = {
        split: score(
            model,
            data,
            split,
            recipe,
            job.device,
            workers=job.workers,
            progress=job.progress,
            closely=split == "test",
        )
        for split in ("valid", "test")
    }
    write_scores(job.folder, scored["test"], data.classes)
    write_confusion(job.folder, scored, data.classes)
    epoch, best = history.best(recipe.training.select)
    about = {
        "device": describe(job.device),
        "devices": job.devices,
        "workers": job.workers,
        "deterministic": job.deterministic,
        "seconds_per_epoch": round(sum(history.seconds) / history.epochs, 3),
    }
    result = Result(
        attention=recipe.model.attention,
        seed=recipe.training.seed,
        classes=data.classes,
        parameters=parameters(model),
        identity=wanted,
        best_epoch=epoch,
        selected_by=recipe.training.select,
        best_score=best,
        validation=scored["valid"].summary,
        test=scored["test"].summary,
        insertions=insertions(model),
        environment=results.environment() | about,
        duration_s=round(sum(history.seconds) + time.monotonic() - began, 3),
    )
    result.write(job.folder)
    return result
