"""Data sets as torch wants them: what is drawn depends on (seed, epoch, index), never on workers, order or rank.

Three of the four parts that make a resumed run bit-equal to an undisturbed one: `EpochSampler` permutes by (seed,
epoch), `TorchSplit` augments by (seed, epoch, index), and `loader` gives the DataLoader a generator of its own.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import Dataset as TorchDataset

from attnzoo.data.dataset import Dataset, Split, image, mask
from attnzoo.data.transforms import Pipeline, pipeline
from attnzoo.errors import AttnzooError, listing
from attnzoo.recipe import Recipe

REMEMBERED = 256 * 2**20  # bytes of prepared images that a process keeps; larger splits are read anew in every epoch


def stream(*key: int | str) -> Generator:
    """A generator of its own for every key: `stream(seed, "augmentation", epoch, index)`."""
    # a digest, because sums of seeds meet: seed 0 in epoch 1 is not seed 1 in epoch 0
    digest = hashlib.sha256(repr(key).encode()).digest()
    return Generator().manual_seed(int.from_bytes(digest[:4], "big"))  # torch's Mersenne twister takes 32 bits


@dataclass(frozen=True)
class Item:
    """An image, float32 (C, H, W), and its labels, int64 (H, W), at the network's size; the labels (h, w) as read."""

    image: Tensor
    mask: Tensor
    native_mask: Tensor | None
    index: int
    name: str
    group: str


@dataclass(frozen=True)
class Batch:
    """Items, collated. Native masks differ in size: they stay a tuple, and stay on the CPU, where they are scored."""

    image: Tensor  # float32 (B, C, H, W)
    mask: Tensor  # int64 (B, H, W), 255 ignored
    native_masks: tuple[Tensor, ...]  # int64 (h, w) each; none unless asked for
    index: tuple[int, ...]  # positions in the split
    names: tuple[str, ...]
    groups: tuple[str, ...]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Batch":
        """The batch with image and mask on a device; Lightning finds this method."""
        return replace(
            self,
            image=self.image.to(device, non_blocking=non_blocking),
            mask=self.mask.to(device, non_blocking=non_blocking),
        )

    def pin_memory(self) -> "Batch":
        """The batch with image and mask in page-locked memory; the DataLoader finds this method."""
        return replace(self, image=self.image.pin_memory(), mask=self.mask.pin_memory())


class TorchSplit(TorchDataset[Item]):
    """A split as torch indexes it: `(epoch, index)` augments if the pipeline does, `index` alone never.

    Args:
        native: Whether items carry the mask at the image's own size.

    Raises:
        AttnzooError: The data set has no such split, or it is empty.
    """

    def __init__(self, dataset: Dataset, split: str, transforms: Pipeline, *, seed: int, native: bool = False) -> None:
        self.dataset, self.transforms, self.seed, self.native = dataset, transforms, seed, native
        self.split = _split(dataset, split)
        height, width = transforms.options.image_size
        self._remembers = len(self.split.samples) * height * width * (3 * 4 + 1) <= REMEMBERED
        self._prepared: dict[int, tuple[Tensor, Tensor]] = {}

    def __len__(self) -> int:
        return len(self.split.samples)

    def __getitem__(self, key: int | tuple[int, int]) -> Item:
        epoch, index = key if isinstance(key, tuple) else (None, key)
        sample = self.split.samples[index]
        if self.native or index not in self._prepared:
            labels = mask(self.dataset, sample)
        if (prepared := self._prepared.get(index)) is None:
            prepared = self.transforms.prepare(image(sample), labels)
            if self._remembers:
                self._prepared[index] = prepared
        generator = None if epoch is None else stream(self.seed, "augmentation", epoch, index)
        pixels, small = self.transforms.finish(*prepared, generator)
        native = torch.from_numpy(labels).long() if self.native else None
        return Item(pixels, small, native, index, sample.name, sample.group)


class EpochSampler(Sampler[tuple[int, int]]):
    """Yields (epoch, index) in an order that only seed and epoch decide, every `world`-th one from `rank` on.

    So batch by batch the processes share exactly the images that one process would take. All processes get equally
    many, or they would wait for each other for ever: where `world` does not divide the length, the permutation's
    beginning is repeated at its end. `set_epoch` counts for the next iterator: workers fetch ahead, so call it first.
    """

    def __init__(self, length: int, *, seed: int, epoch: int = 0, rank: int = 0, world: int = 1) -> None:
        self.length, self.seed, self.epoch, self.rank, self.world = length, seed, epoch, rank, world

    def set_epoch(self, epoch: int) -> None:
        """The epoch of the next iterator."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.length // self.world)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = torch.randperm(self.length, generator=stream(self.seed, "order", self.epoch)).tolist()
        places = range(self.rank, len(self) * self.world, self.world)
        return iter([(self.epoch, order[place % self.length]) for place in places])


def loader(
    dataset: Dataset,
    split: str,
    recipe: Recipe,
    *,
    train: bool,
    epoch: int = 0,
    workers: int = 0,
    rank: int = 0,
    world: int = 1,
    pin_memory: bool = False,
) -> DataLoader[Item]:
    """The batches of a split, each a `Batch`.

    Training: augmented, in the order of `EpochSampler`; the last batch may be smaller, no image is left out. Otherwise:
    each image exactly once over all processes (one of them may get none), in the split's order, and with masks at the
    images' own size if scores want them.

    Args:
        epoch: The first iterator's; later ones through `.sampler.set_epoch`.
        world: The number of processes. `training.batch_size` is that of all of them together.

    Raises:
        AttnzooError: No such split or an empty one, an impossible transform, a batch that the processes cannot share.
    """
    size, rest = divmod(recipe.training.batch_size, world)
    if rest:
        raise AttnzooError(
            f"`training.batch_size = {recipe.training.batch_size}` cannot be shared by `{world}` processes",
            "it is the size of all processes together: take a multiple of their number",
        )
    seed = recipe.training.seed
    data = TorchSplit(
        dataset,
        split,
        pipeline(recipe.data, recipe.model.in_channels, train),
        seed=seed,
        native=not train and recipe.scores.resolution == "image",
    )
    order = EpochSampler(len(data), seed=seed, epoch=epoch, rank=rank, world=world)
    return DataLoader(
        data,
        batch_size=size,
        sampler=order if train else range(rank, len(data), world),
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=pin_memory,
        collate_fn=collate,
        generator=stream(seed, "loader"),
    )


def collate(items: Sequence[Item]) -> Batch:
    """Items into a batch."""
    return Batch(
        image=torch.stack([item.image for item in items]),
        mask=torch.stack([item.mask for item in items]),
        native_masks=tuple(item.native_mask for item in items if item.native_mask is not None),
        index=tuple(item.index for item in items),
        names=tuple(item.name for item in items),
        groups=tuple(item.group for item in items),
    )


def _split(dataset: Dataset, name: str) -> Split:
    if name not in dataset.splits:
        raise AttnzooError(f"the data set has no split `{name}`", f"it has {listing(dataset.splits, last='and')}")
    if not dataset.splits[name].samples:
        raise AttnzooError(f"the split `{name}` has no images", "see what `attnzoo data check` says of the data set")
    return dataset.splits[name]
