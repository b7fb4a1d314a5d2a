"""Predictions meet the truth at the image's own size, or at the network's."""

import pytest
import torch
from torch import nn

from attnzoo.data.loading import Batch
from attnzoo.metrics import Boundary
from attnzoo.recipe import Recipe, Scores
from attnzoo.training.scoring import Tally, label_map, score


def batch(mask: torch.Tensor, *native: torch.Tensor) -> Batch:
    names = tuple(f"{index}.png" for index in range(len(mask)))
    return Batch(torch.zeros(len(mask), 1, *mask.shape[1:]), mask, native, tuple(range(len(mask))), names, names)


def test_logits_are_interpolated_and_not_labels():
    logits = torch.tensor([[[0.0, 0.0]], [[3.0, -1.0]]])  # class 1 by 3 on the left, class 0 by 1 on the right
    assert label_map(logits, (1, 2)).tolist() == [[1, 0]]
    # at 1/4 and 3/4 between the pixel centres the margin is 2 and 0, where the first class wins
    assert label_map(logits, (1, 4)).tolist() == [[1, 1, 0, 0]]
    assert label_map(logits, (2, 2)).tolist() == [[1, 0], [1, 0]]


def test_counts_at_the_images_own_size():
    tally = Tally(2, Recipe())
    logits = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])
    truth = torch.tensor([[0, 0, 1, 255], [0, 1, 1, 1]])
    tally.add(logits, batch(torch.tensor([[[0, 1]]]), truth))
    assert torch.stack(tally.matrices).tolist() == [[[3, 0], [1, 3]]]


def test_counts_at_the_networks_size():
    tally = Tally(2, Recipe(scores=Scores(resolution="network")))
    logits = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])
    tally.add(logits, batch(torch.tensor([[[1, 1]]])))
    assert torch.stack(tally.matrices).tolist() == [[[0, 0], [1, 1]]]


def test_batch_averages_are_at_the_networks_size():
    tally = Tally(2, Recipe())
    logits = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])
    tally.add(logits, batch(torch.tensor([[[0, 1]]]), torch.zeros(3, 3, dtype=torch.int64)))
    assert tally.batches[0]["dice"] == 1.0


class Background(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.ones_like(x), torch.zeros(len(x), 5, *x.shape[2:])], 1)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_split_is_scored_in_its_own_order_each_image_once(workers, plain, data):
    scored = score(Background(), data, "test", plain, torch.device("cpu"), workers=workers)
    assert scored.names == tuple(sample.name for sample in data.splits["test"].samples)
    assert scored.groups == tuple(sample.group for sample in data.splits["test"].samples)
    assert scored.matrices.sum() == 5 * 64 * 64
    assert scored.matrices[:, :, 1:].sum() == 0
    assert scored.summary["global_macro"]["dice"] == 0
    assert scored.summary["per_class"]["background"]["recall"] == 1
    assert scored.summary["batch_average"]["batches"] == 3
    assert scored.summary["resolution"] == "image"


def test_a_closer_look_is_at_the_same_size_and_leaves_ignored_pixels_out():
    logits = torch.tensor([[[[2.0, 0.0]], [[0.0, 2.0]]]])
    truth = torch.tensor([[0, 0, 1, 255], [0, 1, 1, 1]])
    tally = Tally(2, Recipe(), closely=True)
    tally.add(logits, batch(torch.tensor([[[0, 1]]]), truth))
    (look,) = tally.looks
    # interpolated, the columns' margins are 2, 1, −1, −2
    outer, inner = torch.sigmoid(torch.tensor([2.0, 1.0])).tolist()
    assert look.bins.sum(1).tolist() == [7, pytest.approx(3 * outer + 4 * inner), 6]
    assert look.bins[0].nonzero()[0].tolist() == [10, 13]
    # three predicted pixels are among four true ones, the fourth is 1 away: of 0, 0, 0, 1 the 95th percentile is 0.85
    assert look.boundaries == (Boundary(pytest.approx(0.85), 1.0),)


def test_a_closer_look_at_the_networks_size():
    logits = torch.tensor([[[[2.0, 0.0]], [[0.0, 2.0]]]])
    tally = Tally(2, Recipe(scores=Scores(resolution="network")), closely=True)
    tally.add(logits, batch(torch.tensor([[[0, 255]]])))
    (look,) = tally.looks
    assert look.bins[0].nonzero()[0].tolist() == [13]
    assert look.bins[0].sum() == look.bins[2].sum() == 1
    assert look.boundaries == (None,)


def test_without_a_closer_look_there_is_none():
    tally = Tally(2, Recipe())
    tally.add(torch.zeros(1, 2, 1, 2), batch(torch.tensor([[[0, 1]]]), torch.zeros(2, 2, dtype=torch.int64)))
    assert tally.looks == []
