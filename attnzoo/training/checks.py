"""What is asked of data and recipe before a run begins."""

import numpy as np
import torch

from attnzoo.data import Dataset, mask
from attnzoo.data.loading import loader
from attnzoo.data.progress import track
from attnzoo.errors import AttnzooError, listing
from attnzoo.losses import balanced_weights, build_loss
from attnzoo.models import build_model, empty_model
from attnzoo.training.checkpoints import LAST
from attnzoo.training.job import Job

SPLITS = ("train", "valid", "test")


def check_splits(data: Dataset, devices: int = 1) -> None:
    """A run needs three splits, and an image of each for every process.

    Raises:
        AttnzooError: A split is missing, or too small.
    """
    if missing := [split for split in SPLITS if split not in data.splits]:
        raise AttnzooError(
            f"a run needs the splits {listing(SPLITS, last='and')}; the data set lacks {listing(missing, last='and')}",
            "add each as the others are, or give all images in one piece, which is dealt into the three: "
            "one COCO file, or `images` with `masks`",
        )
    for split in SPLITS:
        if (images := len(data.splits[split].samples)) < devices:
            raise AttnzooError(
                f"the split `{split}` has {images} images, which is too few for {devices} processes"
                if images
                else f"the split `{split}` has no images",
                "take fewer devices" if images else "see `attnzoo data check`",
            )


def check_job(job: Job) -> None:
    """What cannot be built, trained or scored is refused before a folder is claimed for it."""
    weights, classes = job.recipe.training.class_weights, len(job.data.classes)
    loss = build_loss(job.recipe.training.loss, class_weights=[1.0] * classes if weights == "balanced" else weights)
    loss(torch.zeros(1, classes, 1, 1), torch.zeros(1, 1, 1, dtype=torch.long))  # weights of another number of classes
    loader(job.data, "train", job.recipe, train=True, world=job.devices)
    if (job.folder / LAST).exists():
        empty_model(job.recipe, classes)
    else:
        build_model(job.recipe, classes)
        _check_truth(job)


def _check_truth(job: Job) -> None:
    """Refuse classes that the recipe wants and a split lacks now, and not after the training."""
    absent = job.recipe.scores.absent
    if absent == "error":
        for split in ("valid", "test"):
            if missing := [
                name for name, pixels in zip(job.data.classes, _pixels(job, split), strict=True) if not pixels
            ]:
                raise AttnzooError(
                    f"the ground truth of `{split}` has no pixel of class {listing(missing, last='and')}, "
                    "and `scores.absent = error` refuses that",
                    "choose another policy: `exclude`",
                )
    elif absent == "exclude" and not any(_pixels(job, "valid")[1:]):
        raise AttnzooError(
            "the ground truth of `valid` has no pixel of any foreground class, so no epoch can be the best",
            "see `attnzoo data check`",
        )


def class_weights(job: Job) -> tuple[float, ...] | None:
    """The recipe's weights; `balanced` ones from the pixels of the training masks at the images' own size."""
    weights = job.recipe.training.class_weights
    if weights != "balanced":
        return weights
    return balanced_weights(_pixels(job, "train"))


def _pixels(job: Job, split: str) -> list[int]:
    """Pixels of every class in a split's masks at the images' own size."""
    counts = np.zeros(256, np.int64)
    samples = job.data.splits[split].samples
    for sample in track(samples, f"counting pixels of {split}", total=len(samples), show=job.progress):
        counts += np.bincount(mask(job.data, sample).ravel(), minlength=256)
    pixels: list[int] = counts[: len(job.data.classes)].tolist()
    return pixels
