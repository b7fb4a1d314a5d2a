"""The step: what Lightning is told of a recipe."""

import math
import time
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn, optim
from torch.utils.data import DataLoader

from attnzoo import metrics
from attnzoo.data.loading import Batch, loader, stream
from attnzoo.losses import build_loss
from attnzoo.models import build_model, empty_model
from attnzoo.registry import keep_plugin
from attnzoo.training.history import History, not_finite
from attnzoo.training.job import Job
from attnzoo.training.schedules import build_optimizer, learning_rate
from attnzoo.training.scoring import Tally
from attnzoo.training.surroundings import silence

LOOK_EVERY = 32  # steps between looks at the losses: each waits for the GPU


class Task(LightningModule):
    """Trains a recipe's network and validates it after every epoch.

    The network is built in the process that trains it. Its stream of random numbers is set anew in every epoch, so a
    resumed run does not depend on where the stream was when the last one died; sampler, augmentation and loader do the
    same (`attnzoo.data.loading`).
    """

    network: nn.Module

    def __init__(self, job: Job, history: History, class_weights: tuple[float, ...] | None, *, threads: int) -> None:
        super().__init__()
        self.recipe, self.data, self.history = job.recipe, job.data, history
        self.workers, self.threads = job.workers, threads
        self.plugins = job.plugins
        self.loss = build_loss(job.recipe.training.loss, class_weights=class_weights)
        self.losses: list[Tensor] = []
        self.row: dict[str, float] = {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # unpickled only in the processes that Lightning starts for several devices
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        silence()

    def setup(self, stage: str) -> None:
        torch.set_num_threads(self.threads)

    def configure_model(self) -> None:
        for plugin in self.plugins:
            keep_plugin(plugin)
        # what is resumed has its weights already
        build = empty_model if self.history.epochs else build_model
        self.network = build(self.recipe, len(self.data.classes))
        if self.trainer.strategy.root_device.type == "cuda":
            # how tensor cores read images: half again as fast, by the same arithmetic
            self.network.to(memory_format=torch.channels_last)

    def configure_optimizers(self) -> optim.Optimizer:
        return build_optimizer(self.recipe.training, self.network.parameters())

    def train_dataloader(self) -> DataLoader[Any]:
        return self._loader("train")

    def val_dataloader(self) -> DataLoader[Any]:
        return self._loader("valid")

    def _loader(self, split: str) -> DataLoader[Any]:
        # Lightning sets the sampler's epoch when the first resumed epoch's workers have begun to fetch (#21938)
        return loader(
            self.data,
            split,
            self.recipe,
            train=split == "train",
            epoch=self.history.epochs,
            workers=self.workers,
            rank=self.trainer.global_rank,
            world=self.trainer.world_size,
            pin_memory=self.device.type == "cuda",
        )

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        return batch.to(device, non_blocking=True)

    def on_train_epoch_start(self) -> None:
        self.began = time.monotonic()
        training, epoch = self.recipe.training, self.current_epoch
        torch.manual_seed(stream(training.seed, "model", epoch, self.global_rank).initial_seed())
        self.row = {"epoch": epoch + 1, "learning_rate": learning_rate(training, epoch)}
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = self.row["learning_rate"]
        self.losses.clear()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss: Tensor = self.loss(self.network(batch.image).float(), batch.mask)
        self.losses.append(loss.detach())
        if (batch_idx + 1) % LOOK_EVERY == 0:
            self._look()
        return loss

    def on_validation_epoch_start(self) -> None:
        self.row["train_loss"] = self._look()
        self.tally = Tally(len(self.data.classes), self.recipe)
        self.validation_losses: list[Tensor] = []

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        logits = self.network(batch.image).float()
        self.validation_losses += [self.loss(logits, batch.mask)] * len(batch.names)
        self.tally.add(logits, batch)

    def on_validation_epoch_end(self) -> None:
        counts = torch.stack(self.tally.matrices).sum(0)
        batches = torch.tensor([batch["dice"] for batch in self.tally.batches], dtype=torch.float64)
        total = self._sum(counts)
        self.row["val_macro_dice"] = self._macro_dice(total)
        self.row["val_batch_dice"] = self._mean(batches[~batches.isnan()])
        self.row["val_loss"] = self._mean(torch.stack(self.validation_losses))

    def _macro_dice(self, total: Tensor) -> float:
        return metrics.macro(total, absent=self.recipe.scores.absent, class_names=self.data.classes).dice

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["attnzoo"] = self.history.state()

    def _look(self) -> float:
        """The mean of the epoch's losses so far, over all processes.

        Raises:
            AttnzooError: One of them was no finite number; names epoch and step.
        """
        losses = torch.stack(self.losses)
        if bad := (~losses.isfinite()).nonzero().flatten().tolist():
            raise not_finite(
                "train_loss",
                float(losses[bad[0]]),
                f"in epoch {self.current_epoch + 1}, step {bad[0] + 1} of {self.trainer.num_training_batches}",
            )
        return self._mean(losses)

    def _mean(self, values: Tensor) -> float:
        """The mean over the values of all processes; NaN of none."""
        values = values.cpu().double()
        total, number = self._sum(torch.stack([values.sum(), values.new_tensor(len(values))])).tolist()
        return total / number if number else math.nan

    def _sum(self, values: Tensor) -> Tensor:
        if self.trainer.world_size == 1:
            return values
        reduced: Tensor = self.trainer.strategy.reduce(values.to(self.device), reduce_op="sum")
        return reduced.cpu()
