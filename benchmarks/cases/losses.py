"""Every loss with its gradient: four images of 128×128 pixels, six classes."""

import torch

from attnzoo import losses

from .case import Case

CLASSES = 6


def names() -> list[str]:
    return list(losses.TERMS)


def build(name: str, device: torch.device) -> Case:
    logits = torch.randn(4, CLASSES, 128, 128, device=device, requires_grad=True)
    target = torch.randint(CLASSES, (4, 128, 128), device=device)
    loss = losses.build_loss(name)
    return Case(lambda: torch.autograd.grad(loss(logits, target), logits))
