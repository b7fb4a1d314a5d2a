"""Counts of one batch, four images of 128×128 pixels and six classes; and what a split's counts are turned into."""

from collections.abc import Callable

import torch

from attnzoo import metrics

from .case import Case

CLASSES = 6
OF_A_BATCH = ("confusion_per_image", "batch_average")
OF_A_SPLIT: dict[str, Callable[[torch.Tensor, list[str]], object]] = {
    "per_class": lambda matrices, classes: metrics.per_class(matrices),
    "macro": lambda matrices, classes: metrics.macro(matrices.sum(0)),
    "per_image": lambda matrices, classes: list(metrics.per_image(matrices, classes)),
    "summary": metrics.summary,
}


def names() -> list[str]:
    return [*OF_A_BATCH, *OF_A_SPLIT]


def build(name: str, device: torch.device) -> Case:
    if name in OF_A_BATCH:
        prediction, target = torch.randint(CLASSES, (2, 4, 128, 128), device=device)
        count = getattr(metrics, name)
        return Case(lambda: count(prediction, target, CLASSES), items=len(target))
    matrices = torch.randint(1000, (100, CLASSES, CLASSES))
    classes = [str(index) for index in range(CLASSES)]
    return Case(lambda: OF_A_SPLIT[name](matrices, classes), items=len(matrices))
