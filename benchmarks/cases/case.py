"""A call to be timed, and the two passes that networks are timed in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

PASSES = ("forward", "forward+backward")


@dataclass(frozen=True)
class Case:
    """A call; where it serves `items` things at once, such as images, their number per second is reported too."""

    call: Callable[[], object]
    items: int | None = None


def passing(kind: str, module: nn.Module, inputs: Sequence[Tensor]) -> Case:
    """Forward in evaluation and inference mode; both passes in training mode, gradients of all that has any."""
    if kind == "forward":
        module.eval()
        return Case(torch.inference_mode()(lambda: module(*inputs)))
    given = [tensor.requires_grad_() for tensor in inputs]
    wanted = [*given, *(weight for weight in module.parameters() if weight.requires_grad)]
    return Case(lambda: torch.autograd.grad(module(*given).sum(), wanted, allow_unused=True))
