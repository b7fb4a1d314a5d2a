"""Every registered block, at 64 channels on a 64×64 map, batch 2."""

import torch
from common import BATCH, CHANNELS, SIDE, Timed
from torch import Tensor, nn

from attnzoo import registry


def furnished(block: str, device: torch.device) -> tuple[nn.Module, list[Tensor]]:
    """The block and noise for its inputs; a gate of the form that it listens to."""
    entry = registry.entry(block)
    shapes = [(BATCH, CHANNELS, SIDE, SIDE)]
    if entry.gated:
        coarse = (BATCH, 2 * CHANNELS, SIDE // 2, SIDE // 2)
        shapes.append(coarse if entry.listens == "coarse" else shapes[0])
    gate_channels = shapes[1][1] if entry.gated else None
    module = registry.build(block, CHANNELS, gate_channels=gate_channels).to(device)
    return module, [torch.randn(shape, device=device) for shape in shapes]


def test_forward(block: str, device: torch.device, timed: Timed) -> None:
    module, inputs = furnished(block, device)
    module.eval()
    with torch.inference_mode():
        timed(lambda: module(*inputs))


def test_forward_and_backward(block: str, device: torch.device, timed: Timed) -> None:
    module, inputs = furnished(block, device)
    given = [tensor.requires_grad_() for tensor in inputs]
    wanted = [*given, *module.parameters()]
    timed(lambda: torch.autograd.grad(module(*given).sum(), wanted, allow_unused=True))
