"""One run: recipe and data in, a folder and a Result out."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from attnzoo import results
from attnzoo.data import Dataset, mask
from attnzoo.data.loading import loader
from attnzoo.data.progress import track
from attnzoo.errors import AttnzooError, listing
from attnzoo.insertion import insertions
from attnzoo.losses import balanced_weights, build_loss
from attnzoo.measure.parameters import parameters
from attnzoo.models import build_model, empty_model
from attnzoo.recipe import Recipe
from attnzoo.registry import Plugin
from attnzoo.results import Result
from attnzoo.training import folder as folders
from attnzoo.training.checkpoints import LAST, load_best, resume
from attnzoo.training.devices import check_devices, describe, resolve_device
from attnzoo.training.history import History
from attnzoo.training.job import Job
from attnzoo.training.scoring import score
from attnzoo.training.surroundings import cpu_threads, determinism, stoppable
from attnzoo.training.tables import write_confusion, write_scores

SPLITS = ("train", "valid", "test")


def run(
    recipe: Recipe,
    folder: Path,
    *,
    data: Dataset,
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
        data: With the splits `train`, `valid` and `test`, opened by `recipe.data`.
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
    _check_splits(data, devices)
    known = folders.loaded(plugins)
    job = Job(recipe, Path(folder), data, where, devices, workers, progress, known, deterministic)
    with cpu_threads(threads):
        wanted = folders.identity(recipe, data, known, devices=devices)
        if folders.is_finished(job.folder, wanted):
            return Result.read(job.folder)
        _check_recipe(job)
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

    return fit(job, history, _class_weights(job))


def _finish(job: Job, history: History, wanted: dict[str, Any]) -> Result:
    """Score the best weights and write all that a finished run has, `result.json` last."""
    began = time.monotonic()
    recipe, data = job.recipe, job.data
    model = empty_model(recipe, len(data.classes))
    load_best(job.folder, model)
    model.eval().to(job.device)
    scored = {
        split: score(model, data, split, recipe, job.device, workers=job.workers, progress=job.progress)
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


def _check_splits(data: Dataset, devices: int) -> None:
    """A run needs three splits, and an image of each for every process."""
    if missing := [split for split in SPLITS if split not in data.splits]:
        raise AttnzooError(
            f"a run needs the splits {listing(SPLITS, last='and')}; the data set lacks {listing(missing, last='and')}",
            "see `attnzoo data check`",
        )
    for split in SPLITS:
        if (images := len(data.splits[split].samples)) < devices:
            raise AttnzooError(
                f"the split `{split}` has {images} images, which is too few for {devices} processes"
                if images
                else f"the split `{split}` has no images",
                "take fewer devices" if images else "see `attnzoo data check`",
            )


def _check_recipe(job: Job) -> None:
    """What cannot be built is refused before a folder is claimed for it."""
    weights, classes = job.recipe.training.class_weights, len(job.data.classes)
    build_loss(job.recipe.training.loss, class_weights=[1.0] * classes if weights == "balanced" else weights)
    loader(job.data, "train", job.recipe, train=True, world=job.devices)
    (empty_model if (job.folder / LAST).exists() else build_model)(job.recipe, classes)


def _class_weights(job: Job) -> tuple[float, ...] | None:
    """The recipe's weights; `balanced` ones from the pixels of the training masks at the images' own size."""
    weights = job.recipe.training.class_weights
    if weights != "balanced":
        return weights
    counts = np.zeros(256, np.int64)
    samples = job.data.splits["train"].samples
    for sample in track(samples, "counting pixels", total=len(samples), show=job.progress):
        counts += np.bincount(mask(job.data, sample).ravel(), minlength=256)
    return balanced_weights(counts[: len(job.data.classes)].tolist())
