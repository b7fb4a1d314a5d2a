"""Every registered block, at 64 channels on a 64×64 map, or the largest below that it takes; batch 2."""

import pytest
import torch
from common import BATCH, CHANNELS, SIDES, Timed
from torch import Tensor, nn

from attnzoo import registry, spec
from attnzoo.errors import AttnzooError


def furnished(block: str, device: torch.device) -> tuple[nn.Module, list[Tensor]]:
    """The block and noise for its inputs; a gate of the form that it listens to."""
    coarse = registry.signal(spec.Block(block)) == "coarse"
    gate_channels = 2 * CHANNELS if coarse else CHANNELS
    try:
        module = registry.build(block, CHANNELS, gate_channels=gate_channels).to(device)
    except AttnzooError as error:
        pytest.skip(error.message)
    side = next(side for side in SIDES if takes(module, side))
    skip = (BATCH, CHANNELS, side, side)
    gate = (BATCH, gate_channels, side // 2, side // 2) if coarse else skip
    shapes = [skip] if getattr(module, "listens", None) is None else [skip, gate]
    return module, [torch.randn(shape, device=device) for shape in shapes]


def takes(module: nn.Module, side: int) -> bool:
    """Whether a block can live with a square map."""
    try:
        getattr(module, "check_size", lambda size: None)((side, side))
    except AttnzooError:
        return False
    return True


def test_forward(block: str, device: torch.device, timed: Timed) -> None:
    module, inputs = furnished(block, device)
    module.eval()
    with torch.inference_mode():
        timed(lambda: module(*inputs))


def test_forward_and_backward(block: str, device: torch.device, timed: Timed) -> None:
    module, inputs = furnished(block, device)
    given = [tensor.requires_grad_() for tensor in inputs]
    wanted = [*given, *(weight for weight in module.parameters() if weight.requires_grad)]
    timed(lambda: torch.autograd.grad(module(*given).sum(), wanted, allow_unused=True))
