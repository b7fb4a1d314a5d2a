"""Lightning's trainer, as a run uses it. Importing this takes seconds, so it is imported only to train."""

import signal

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch.multiprocessing.spawn import ProcessRaisedException

from attnzoo.errors import AttnzooError
from attnzoo.training.callbacks import Bar, Keeper, SafeIO
from attnzoo.training.checkpoints import LAST, resume
from attnzoo.training.history import History
from attnzoo.training.job import Job
from attnzoo.training.surroundings import quiet
from attnzoo.training.task import Task


def fit(job: Job, history: History, class_weights: tuple[float, ...] | None) -> History:
    """Train from where `history` ends to the recipe's last epoch; the folder holds what comes of it."""
    task = Task(job, history, class_weights, threads=torch.get_num_threads())
    with quiet():
        trainer = _trainer(job)
        try:
            trainer.fit(task, ckpt_path=job.folder / LAST if history.epochs else None, weights_only=True)
        except ProcessRaisedException as error:
            # of a mistake found in another process there is only its traceback's text
            _, mistake, words = str(error).rpartition(f"{AttnzooError.__module__}.{AttnzooError.__name__}: ")
            if not mistake:
                raise
            message, _, hint = words.strip().partition("\nhint: ")
            raise AttnzooError(message, hint or None) from error
        except torch.OutOfMemoryError as error:
            raise AttnzooError(
                f"`{job.device}` has too little memory for {job.title} at batch size {job.recipe.training.batch_size}",
                "take a smaller `training.batch_size` or `data.image_size`, or `training.precision = bf16-mixed`",
            ) from error
        except BaseException:
            if trainer.strategy.launcher is not None:
                # Lightning would wait for its processes, and they for each other
                trainer.strategy.launcher.kill(signal.SIGKILL)
            raise
    return resume(job.folder, job.recipe.training.select)


def _trainer(job: Job) -> Trainer:
    return Trainer(
        accelerator={"cuda": "gpu"}.get(job.device.type, job.device.type),
        devices=job.devices if job.device.type != "cuda" or job.device.index is None else [job.device.index],
        # by spawn: Lightning's `ddp` would run the caller's whole command again
        strategy="ddp_spawn" if job.devices > 1 else "auto",
        precision=job.recipe.training.precision,
        max_epochs=job.recipe.training.epochs,
        callbacks=[Keeper(job.folder), *([Bar(job.title)] if job.progress else [])],
        logger=TensorBoardLogger(job.folder, name="", version="tensorboard"),
        # under SLURM the default would take its signals, and its checkpoints from the middle of an epoch
        plugins=[SafeIO(), LightningEnvironment()],
        default_root_dir=job.folder,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        # the loaders share the images already, without the repeated ones that Lightning's would count (#7929)
        use_distributed_sampler=False,
    )
