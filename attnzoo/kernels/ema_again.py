"""EMA's gradients by torch's operators: where they are differentiated in turn, or asked for many at once."""

import torch
from torch import Tensor

from attnzoo.kernels.ema import Weights, whole


def asked(grad: Tensor) -> bool:
    """Whether a backward pass must go by operators: its own gradient is wanted, or many gradients are asked for."""
    # under `is_grads_batched` and `vmap`, whose keys have this word in them
    return torch.is_grad_enabled() or "Batched" in repr(torch._C._dispatch_keys(grad))


def gradients(
    x: Tensor, groups: int, eps: float, weights: Weights, needed: list[bool], grad: Tensor
) -> list[Tensor | None]:
    """Of x and of each weight; None where it is not needed."""
    wanted = [one for one, need in zip((x, *weights), needed, strict=True) if need]
    create = torch.is_grad_enabled()
    with torch.enable_grad():
        found = iter(torch.autograd.grad(whole(x, groups, eps, weights), wanted, grad, create_graph=create))
    return [next(found) if need else None for need in needed]
