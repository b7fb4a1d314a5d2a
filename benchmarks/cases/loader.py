"""The loader on a drawn phantom, 30 images of 128×128 pixels: opened, decoded, painted, read from the cache, augmented.

The drawing and the masks lie in attnzoo's cache folder; whoever times this sets `ATTNZOO_CACHE` to a fresh one.
"""

from collections.abc import Callable
from functools import cache
from itertools import count
from pathlib import Path

import torch

from attnzoo.data import Dataset, Sample, cache_folder, image, mask, open_dataset, prepare
from attnzoo.data.coco.rasterise import paint
from attnzoo.data.loading import loader
from attnzoo.data.phantom import draw
from attnzoo.recipe import Recipe

from .case import Case

SIDE = 128
RECIPE = Recipe().override(
    {
        "data.image_size": (SIDE, SIDE),
        "data.augmentation": ("hflip", "rotate"),
        "data.group_pattern": r"^(p\d+)",
        "model.in_channels": 1,
        "training.batch_size": 4,
    }
)
# a name, and of a data set the call and how many things it serves
CASES: dict[str, Callable[[Dataset], Case]] = {
    "open": lambda data: Case(lambda: open_dataset(data.root, RECIPE.data), items=30),
    "images": lambda data: Case(lambda: [image(sample) for sample in _train(data)], items=len(_train(data))),
    "masks/painted": lambda data: Case(
        lambda: [paint(sample.annotations, sample.height, sample.width) for sample in _train(data)],
        items=len(_train(data)),
    ),
    "masks/cached": lambda data: Case(lambda: [mask(data, sample) for sample in _train(data)], items=len(_train(data))),
    "train/first-epoch": lambda data: Case(lambda: _drained(_batches(data, "train")), items=len(_train(data))),
    "train/epoch": lambda data: _later_epochs(data),
    "valid/first-epoch": lambda data: Case(
        lambda: _drained(_batches(data, "valid")), items=len(data.splits["valid"].samples)
    ),
}


def names() -> list[str]:
    return list(CASES)


def build(name: str, device: torch.device) -> Case:
    """Images and masks stay on the CPU, whatever the device: that is where they are loaded."""
    return CASES[name](_phantom(cache_folder()))


@cache
def _phantom(folder: Path) -> Dataset:
    """Drawn, checked, and its masks painted into the cache."""
    data = open_dataset(draw(folder / "drawing", patients=6, slices=5, size=SIDE), RECIPE.data)
    prepare(data)
    return data


def _train(data: Dataset) -> tuple[Sample, ...]:
    return data.splits["train"].samples


def _batches(data: Dataset, split: str) -> torch.utils.data.DataLoader:
    return loader(data, split, RECIPE, train=split == "train")


def _drained(batches: torch.utils.data.DataLoader) -> int:
    return sum(len(batch.index) for batch in batches)


def _later_epochs(data: Dataset) -> Case:
    """What is remembered of the first epoch is used: augmentation and collation are left."""
    batches, epochs = _batches(data, "train"), count(1)
    _drained(batches)

    def epoch() -> None:
        batches.sampler.set_epoch(next(epochs))
        _drained(batches)

    return Case(epoch, items=len(_train(data)))
