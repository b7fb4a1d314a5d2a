"""Batches depend on seed, epoch and index; never on workers, processes, or what was drawn before."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from attnzoo.data import phantom
from attnzoo.data.dataset import Dataset, Split, mask, open_dataset
from attnzoo.data.loading import Batch, EpochSampler, TorchSplit, loader, stream
from attnzoo.data.transforms import pipeline
from attnzoo.errors import AttnzooError
from attnzoo.recipe import Data, Model, Recipe, Scores, Training

DATA = Data(image_size=(32, 40), window=(0, 80), augmentation=("affine", "hflip", "noise"), group_pattern=r"^(p\d+)")
RECIPE = Recipe(data=DATA, model=Model(in_channels=1), training=Training(seed=3, batch_size=4))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dataset]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("loading")
        patch.setenv("ATTNZOO_CACHE", str(folder / "cache"))
        yield open_dataset(phantom.draw(folder / "data", patients=4, slices=5, size=64), DATA)


def same(first: list[Batch], second: list[Batch]) -> bool:
    return [batch.names for batch in first] == [batch.names for batch in second] and all(
        torch.equal(a.image, b.image) and torch.equal(a.mask, b.mask) for a, b in zip(first, second, strict=True)
    )


def epoch(dataset: Dataset, number: int, *, recipe: Recipe = RECIPE, **how: int) -> list[Batch]:
    return list(loader(dataset, "train", recipe, train=True, epoch=number, **how))


def test_a_batch_says_which_images_it_holds(dataset: Dataset) -> None:
    batch = epoch(dataset, 0)[0]
    assert batch.image.shape == (4, 1, 32, 40)
    assert batch.image.dtype == torch.float32
    assert batch.mask.shape == (4, 32, 40)
    assert batch.mask.dtype == torch.int64
    samples = [dataset.splits["train"].samples[index] for index in batch.index]
    assert batch.names == tuple(sample.name for sample in samples)
    assert batch.groups == tuple(name[:4] for name in batch.names)
    assert batch.native_masks == ()


def test_training_takes_every_image_once_an_epoch(dataset: Dataset) -> None:
    batches = epoch(dataset, 0)
    assert [len(batch.index) for batch in batches] == [4, 4, 2]
    assert sorted(index for batch in batches for index in batch.index) == list(range(10))


def test_epochs_and_seeds_differ_in_order_and_augmentation(dataset: Dataset) -> None:
    def item(number: int, seed: int) -> torch.Tensor:
        return TorchSplit(dataset, "train", pipeline(DATA, 1, True), seed=seed)[(number, 2)].image

    assert [batch.index for batch in epoch(dataset, 0)] != [batch.index for batch in epoch(dataset, 1)]
    assert not torch.equal(item(0, 3), item(1, 3))
    assert not torch.equal(item(0, 3), item(0, 4))
    assert not torch.equal(item(0, 1), item(1, 0))  # seeds that are sums would meet here
    assert torch.equal(item(1, 3), item(1, 3))


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_depend_on_nothing_but_seed_and_epoch(dataset: Dataset, workers: int) -> None:
    undisturbed = [epoch(dataset, number) for number in range(2)]
    torch.manual_seed(99)
    batches = loader(dataset, "train", RECIPE, train=True, workers=workers)
    for number in (0, 1, 0):
        batches.sampler.set_epoch(number)  # type: ignore[attr-defined]
        assert same(list(batches), undisturbed[number])
        torch.rand(3)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_loader_begins_at_its_epoch(dataset: Dataset, workers: int) -> None:
    # Lightning #21938: with workers the first resumed epoch had the order of epoch 0
    assert same(epoch(dataset, 5, workers=workers), epoch(dataset, 5))
    assert not same(epoch(dataset, 5, workers=workers), epoch(dataset, 0))


def test_an_iterator_leaves_the_global_stream_alone(dataset: Dataset) -> None:
    before = torch.get_rng_state()
    epoch(dataset, 0)
    list(loader(dataset, "valid", RECIPE, train=False))
    assert torch.equal(torch.get_rng_state(), before)


def test_processes_share_the_batches_of_one(dataset: Dataset) -> None:
    whole = epoch(dataset, 2)
    shares = [epoch(dataset, 2, rank=rank, world=2) for rank in range(2)]
    for batch, *parts in zip(whole, *shares, strict=True):
        assert batch.index[0::2] == parts[0].index
        assert batch.index[1::2] == parts[1].index
        assert torch.equal(batch.image[0::2], parts[0].image)


@pytest.mark.parametrize(("length", "world"), [(10, 4), (3, 8), (1, 2), (8, 4)])
def test_all_processes_train_equally_long(length: int, world: int) -> None:
    shares = [list(EpochSampler(length, seed=0, epoch=1, rank=rank, world=world)) for rank in range(world)]
    assert {len(share) for share in shares} == {len(EpochSampler(length, seed=0, world=world))}
    assert {index for share in shares for _, index in share} == set(range(length))
    assert sum(map(len, shares)) - length < max(world, length)


@pytest.mark.parametrize("world", [1, 2, 4, 8])
def test_evaluation_sees_every_image_exactly_once(dataset: Dataset, world: int) -> None:
    # Lightning #7929: padded duplicates were counted
    recipe = replace(RECIPE, training=Training(batch_size=8))
    seen = [
        index
        for rank in range(world)
        for batch in loader(dataset, "valid", recipe, train=False, rank=rank, world=world)
        for index in batch.index
    ]
    assert sorted(seen) == list(range(5))


def test_evaluation_is_in_order_and_bare(dataset: Dataset) -> None:
    first, second = (list(loader(dataset, "train", RECIPE, train=False, workers=workers)) for workers in (0, 2))
    assert same(first, second)
    assert [index for batch in first for index in batch.index] == list(range(10))
    assert not any((batch.mask == 255).any() for batch in first)


def test_scores_at_the_images_own_size_get_masks_of_that_size(dataset: Dataset) -> None:
    batch = next(iter(loader(dataset, "test", RECIPE, train=False)))
    assert [native.shape for native in batch.native_masks] == [(64, 64)] * 4
    for index, native in zip(batch.index, batch.native_masks, strict=True):
        assert native.dtype == torch.int64
        assert np.array_equal(native.numpy(), mask(dataset, dataset.splits["test"].samples[index]))
    at_network_size = replace(RECIPE, scores=Scores(resolution="network"))
    assert next(iter(loader(dataset, "test", at_network_size, train=False))).native_masks == ()


def test_images_are_remembered_while_they_are_few(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    split = TorchSplit(dataset, "train", pipeline(DATA, 1, True), seed=0)
    first = split[(0, 1)].image.clone()
    read = []
    monkeypatch.setattr("attnzoo.data.loading.image", lambda sample: read.append(sample.name))
    assert torch.equal(split[(0, 1)].image, first)
    assert read == []
    monkeypatch.undo()
    monkeypatch.setattr("attnzoo.data.loading.REMEMBERED", 100)
    forgetful = TorchSplit(dataset, "train", pipeline(DATA, 1, True), seed=0)
    assert torch.equal(forgetful[(0, 1)].image, first)
    assert forgetful._prepared == {}


def test_a_batch_moves_but_its_native_masks_stay(dataset: Dataset) -> None:
    batch = next(iter(loader(dataset, "test", RECIPE, train=False)))
    moved = batch.to("meta")
    assert {moved.image.device.type, moved.mask.device.type} == {"meta"}
    assert moved.native_masks[0].device.type == "cpu"
    assert moved.names == batch.names


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_batch_can_be_pinned(dataset: Dataset) -> None:
    batch = next(iter(loader(dataset, "test", RECIPE, train=False, pin_memory=True)))
    assert batch.image.is_pinned()
    assert batch.mask.is_pinned()


def test_streams_differ_by_every_part_of_their_key() -> None:
    keys = [(0, "order", 0), (0, "order", 1), (1, "order", 0), (0, "other", 0), (0, "order"), (0, "order", "0")]
    draws = [torch.rand((), generator=stream(*key)).item() for key in keys]
    assert len(set(draws)) == len(keys)
    assert torch.rand((), generator=stream(0, "order", 0)).item() == draws[0]


def test_a_batch_that_processes_cannot_share_is_refused(dataset: Dataset) -> None:
    with pytest.raises(AttnzooError) as caught:
        loader(dataset, "train", RECIPE, train=True, world=3)
    assert caught.value.message == "`training.batch_size = 4` cannot be shared by `3` processes"
    assert caught.value.hint == "it is the size of all processes together: take a multiple of their number"


def test_unknown_splits_are_refused(dataset: Dataset) -> None:
    with pytest.raises(AttnzooError) as caught:
        loader(dataset, "val", RECIPE, train=False)
    assert caught.value.message == "the data set has no split `val`"
    assert caught.value.hint == "it has `train`, `valid` and `test`"


def test_empty_splits_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    empty = replace(dataset, splits={"train": Split("train", ())})
    with pytest.raises(AttnzooError) as caught:
        loader(empty, "train", RECIPE, train=True)
    assert caught.value.message == "the split `train` has no images"
    assert caught.value.hint == "see what `attnzoo data check` says of the data set"
