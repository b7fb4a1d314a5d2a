"""Counts of one batch, four images of 128×128 pixels and six classes; a closer look at one; what counts turn into."""

from collections.abc import Callable

import torch

from attnzoo import metrics

from .case import Case

CLASSES = 6
OF_A_BATCH = ("confusion_per_image", "batch_average")
OF_AN_IMAGE = ("boundaries", "reliability")
OF_A_SPLIT: dict[str, Callable[[torch.Tensor, list[str]], object]] = {
    "per_class": lambda matrices, classes: metrics.per_class(matrices),
    "macro": lambda matrices, classes: metrics.macro(matrices.sum(0)),
    "per_image": lambda matrices, classes: list(metrics.per_image(matrices, classes)),
    "strata": metrics.strata,
    "summary": metrics.summary,
}


def names() -> list[str]:
    return [*OF_A_BATCH, *OF_AN_IMAGE, *OF_A_SPLIT]


def build(name: str, device: torch.device) -> Case:
    if name in OF_A_BATCH:
        prediction, target = torch.randint(CLASSES, (2, 4, 128, 128), device=device)
        count = getattr(metrics, name)
        return Case(lambda: count(prediction, target, CLASSES), items=len(target))
    if name == "boundaries":  # of squares, since noise would be nothing but boundary
        prediction, target = torch.randint(CLASSES, (2, 8, 8)).repeat_interleave(16, 1).repeat_interleave(16, 2)
        return Case(lambda: metrics.boundaries(prediction, target, CLASSES), items=1)
    if name == "reliability":
        confidence, correct = torch.rand(128, 128).numpy(), torch.randint(2, (128, 128)).bool().numpy()
        return Case(lambda: metrics.reliability(confidence, correct), items=1)
    matrices = torch.randint(1000, (100, CLASSES, CLASSES))
    classes = [str(index) for index in range(CLASSES)]
    return Case(lambda: OF_A_SPLIT[name](matrices, classes), items=len(matrices))
