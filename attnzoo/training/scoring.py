"""A model on a split: one confusion matrix per image, from which scores follow, and what counts cannot say."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
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
    return at_size(logits, size).argmax(0)


def at_size(logits: Tensor, size: Sequence[int]) -> Tensor:
    """Logits (K, h, w) at a size, interpolated bilinearly where it is another one → (K, H, W)."""
    if tuple(logits.shape[-2:]) == tuple(size):
        return logits
    return F.interpolate(logits[None].float(), size=tuple(size), mode="bilinear", align_corners=False)[0]


@dataclass(frozen=True)
class Look:
    """A closer look at an image: the boundary of each foreground class, and bins (3, 15) of calibration."""

    boundaries: tuple[metrics.Boundary | None, ...]
    bins: npt.NDArray[np.float64]


def look(logits: Tensor, prediction: Tensor, truth: Tensor) -> Look:
    """Look at an image: logits (K, H, W) where they are, and what is predicted and true (H, W), on the CPU."""
    # the probabilities on the device; their sums in double precision, in one order, and so to the same bits again
    confidence = logits.softmax(0).amax(0).cpu()[truth != metrics.IGNORED]
    correct = (prediction == truth)[truth != metrics.IGNORED]
    bins = metrics.reliability(confidence.numpy(), correct.numpy())
    return Look(metrics.boundaries(prediction, truth, len(logits)), bins)


class Tally:
    """Collects the counts of a split, batch by batch.

    Args:
        classes: Their number, the background included.
        recipe: `scores` says at which size predictions are compared, and what an absent class counts.
        closely: Whether to take a closer look at every image, at the same size.

    Attributes:
        matrices: int64 (K, K) an image, on the CPU.
        looks: One an image, or none.
        batches: The batch averages, always at the network's size: a training loop knows no other.
    """

    def __init__(self, classes: int, recipe: Recipe, *, closely: bool = False) -> None:
        self.classes, self.scores, self.closely = classes, recipe.scores, closely
        self.names: list[str] = []
        self.groups: list[str] = []
        self.matrices: list[Tensor] = []
        self.looks: list[Look] = []
        self.batches: list[dict[str, float]] = []

    def add(self, logits: Tensor, batch: Batch) -> None:
        """Count a batch: logits (B, K, H, W) at the network's size."""
        small = logits.argmax(1)
        self.batches.append(metrics.batch_average(small, batch.mask, self.classes, absent=self.scores.absent))
        if self.scores.resolution == "network":
            self.matrices += metrics.confusion_per_image(small, batch.mask, self.classes).cpu().unbind()
            if self.closely:
                self.looks += map(look, logits, small.cpu(), batch.mask.cpu())
        else:
            for image, truth in zip(logits, batch.native_masks, strict=True):
                image = at_size(image, truth.shape)
                prediction = image.argmax(0).cpu()
                self.matrices += metrics.confusion_per_image(prediction[None], truth[None], self.classes).unbind()
                if self.closely:
                    self.looks.append(look(image, prediction, truth))
        self.names += batch.names
        self.groups += batch.groups


@dataclass(frozen=True)
class Scored:
    """A split, scored: `matrices` (N, K, K) in the order of `names`, the summary of all of it, and looks if taken."""

    names: tuple[str, ...]
    groups: tuple[str, ...]
    matrices: Tensor
    summary: dict[str, Any]
    looks: tuple[Look, ...] = ()


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
    closely: bool = False,
) -> Scored:
    """Score a model, in evaluation mode and on the device, on every image of a split in the split's order.

    `closely` adds boundaries, calibration, strata of size and images without foreground, at the price of seconds.
    """
    tally = Tally(len(data.classes), recipe, closely=closely)
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
    if closely:
        there = (matrices.sum((0, 2)) > 0).tolist()
        summary |= {
            "boundaries": metrics.boundary_summary([one.boundaries for one in tally.looks], data.classes, there),
            "calibration": metrics.calibration(np.sum([one.bins for one in tally.looks], axis=0)),
            "strata": metrics.strata(matrices, data.classes),
            "empty": metrics.empty_images(matrices),
        }
    return Scored(tuple(tally.names), tuple(tally.groups), matrices, summary, tuple(tally.looks))
