"""A model on a split: one confusion matrix per image, from which all scores follow."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attnzoo import metrics
from attnzoo.data import Dataset
from attnzoo.data.loading import Batch, loader
from attnzoo.data.progress import track
from attnzoo.recipe import Recipe
from attnzoo.training.devices import autocast


def label_map(logits: Tensor, size: Sequence[int]) -> Tensor:
    """Class indices of an image at a size: logits (K, h, w), interpolated bilinearly, then argmax → int64 (H, W)."""
    if tuple(logits.shape[-2:]) != tuple(size):
        logits = F.interpolate(logits[None].float(), size=tuple(size), mode="bilinear", align_corners=False)[0]
    return logits.argmax(0)


class Tally:
    """Collects the counts of a split, batch by batch.

    Args:
        classes: Their number, the background included.
        recipe: `scores` says at which size predictions are compared, and what an absent class counts.

    Attributes:
        matrices: int64 (K, K) an image, on the CPU.
        batches: The batch averages, always at the network's size: a training loop knows no other.
    """

    def __init__(self, classes: int, recipe: Recipe) -> None:
        self.classes, self.scores = classes, recipe.scores
        self.names: list[str] = []
        self.groups: list[str] = []
        self.matrices: list[Tensor] = []
        self.batches: list[dict[str, float]] = []

    def add(self, logits: Tensor, batch: Batch) -> None:
        """Count a batch: logits (B, K, H, W) at the network's size."""
        small = logits.argmax(1)
        self.batches.append(metrics.batch_average(small, batch.mask, self.classes, absent=self.scores.absent))
        if self.scores.resolution == "network":
            self.matrices += metrics.confusion_per_image(small, batch.mask, self.classes).cpu().unbind()
        else:
            for image, truth in zip(logits, batch.native_masks, strict=True):
                prediction = label_map(image, truth.shape).cpu()
                self.matrices += metrics.confusion_per_image(prediction[None], truth[None], self.classes).unbind()
        self.names += batch.names
        self.groups += batch.groups


@dataclass(frozen=True)
class Scored:
    """A split, scored: `matrices` (N, K, K) in the order of `names`, and the summary of all of it."""

    names: tuple[str, ...]
    groups: tuple[str, ...]
    matrices: Tensor
    summary: dict[str, Any]


@torch.inference_mode()
def score(
    model: nn.Module,
    data: Dataset,
    split: str,
    recipe: Recipe,
    device: torch.device,
    *,
    workers: int = 0,
    progress: bool = False,
) -> Scored:
    """Score a model, in evaluation mode and on the device, on every image of a split in the split's order."""
    tally = Tally(len(data.classes), recipe)
    batches = loader(data, split, recipe, train=False, workers=workers, pin_memory=device.type == "cuda")
    for batch in track(batches, f"scoring {split}", total=len(batches), show=progress):
        there = batch.to(device)
        with autocast(device, recipe.training.precision):
            logits = model(there.image)
        tally.add(logits.float(), there)
    matrices = torch.stack(tally.matrices)
    summary = metrics.summary(
        matrices,
        data.classes,
        absent=recipe.scores.absent,
        batch_averages=tally.batches,
        batch_size=recipe.training.batch_size,
    )
    summary["resolution"] = recipe.scores.resolution
    return Scored(tuple(tally.names), tuple(tally.groups), matrices, summary)
