"""Losses and scores of one batch: four images of 128×128 pixels, six classes."""

import pytest
import torch
from common import Timed

from attnzoo import losses, metrics

CLASSES = 6


@pytest.fixture
def batch(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(4, CLASSES, 128, 128, device=device), torch.randint(CLASSES, (4, 128, 128), device=device)


@pytest.mark.parametrize("name", losses.TERMS)
def test_loss(name: str, batch: tuple[torch.Tensor, torch.Tensor], timed: Timed) -> None:
    logits, target = batch[0].requires_grad_(), batch[1]
    loss = losses.build_loss(name)
    timed(lambda: torch.autograd.grad(loss(logits, target), logits))


@pytest.mark.parametrize("name", ["confusion_per_image", "batch_average"])
def test_metric(name: str, batch: tuple[torch.Tensor, torch.Tensor], timed: Timed) -> None:
    prediction, target = batch[0].argmax(1), batch[1]
    metric = getattr(metrics, name)
    timed(lambda: metric(prediction, target, CLASSES))


def test_summary(timed: Timed) -> None:
    matrices = torch.randint(1000, (100, CLASSES, CLASSES))
    timed(lambda: metrics.summary(matrices, [str(index) for index in range(CLASSES)]))
