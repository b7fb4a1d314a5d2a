"""What happens around the steps: files are kept after every epoch, and bars are drawn."""

import time
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins import CheckpointIO
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from attnzoo.results import replace
from attnzoo.training.checkpoints import LAST, write_best
from attnzoo.training.task import Task


class SafeIO(CheckpointIO):
    """Resume files that a crash cannot tear, and that are read without pickle."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        replace(Path(path), lambda file: torch.save(checkpoint, file))

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = True) -> dict[str, Any]:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return checkpoint

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)


class Keeper(Checkpoint):
    """After every epoch, in this order: `last.ckpt`, `best.safetensors` if it is the best, `curves.csv`, TensorBoard.

    `last.ckpt` is first because the others can be made from it (`checkpoints.resume`); `curves.csv` shows what is safe.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        task = cast("Task", pl_module)
        select, history = task.recipe.training.select, task.history
        history.add(task.row, time.monotonic() - task.began, select)
        trainer.save_checkpoint(self.folder / LAST)
        if not trainer.is_global_zero:
            return
        if history.best(select)[0] == history.epochs:
            write_best(self.folder, task.network.state_dict(), history.epochs)
        history.write(self.folder)
        for logger in trainer.loggers:
            logger.log_metrics({**history.rows[-1], "seconds": history.seconds[-1]}, step=history.epochs)


class Bar(Callback):
    """A bar over all epochs on a terminal; in a log file, a line for every epoch. On stderr."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.progress: Progress | None = None
        self.bar = TaskID(0)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.console = Console(stderr=True)
        if not (trainer.is_global_zero and self.console.is_terminal):
            return
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        self.progress = Progress(*columns, console=self.console, transient=True)
        epochs, steps = trainer.max_epochs or 0, int(trainer.num_training_batches)
        done = cast("Task", pl_module).history.epochs * steps
        self.bar = self.progress.add_task(self._words(pl_module), total=epochs * steps, completed=done)
        self.progress.start()

    def on_train_batch_end(self, *_: Any) -> None:
        if self.progress is not None:
            self.progress.advance(self.bar)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.progress is not None:
            self.progress.update(self.bar, description=self._words(pl_module))
        elif trainer.is_global_zero:
            self.console.print(self._words(pl_module), markup=False, highlight=False, soft_wrap=True)

    def on_train_end(self, *_: Any) -> None:
        self._stop()

    def on_exception(self, *_: Any) -> None:
        self._stop()

    def _stop(self) -> None:
        if self.progress is not None:
            self.progress.stop()
            self.progress = None

    def _words(self, module: LightningModule) -> str:
        """`ema, seed 0: epoch 3 of 50, loss 0.4123, val macro Dice 0.5312`."""
        task = cast("Task", module)
        row, select = task.row, task.recipe.training.select
        if "val_loss" not in row:
            return f"{self.title}: begins"
        return (
            f"{self.title}: epoch {int(row['epoch'])} of {task.recipe.training.epochs}, loss {row['train_loss']:.4f}, "
            f"val {select.replace('_dice', '')} Dice {row[f'val_{select}']:.4f}"
        )
