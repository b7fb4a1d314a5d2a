"""Every registered block, at 64 channels on a 64×64 map, or the largest below that it takes; batch 2."""

import torch
from torch import nn

from attnzoo import registry, spec
from attnzoo.errors import AttnzooError

from .case import PASSES, Case, passing

CHANNELS, SIDE, BATCH = 64, 64, 2
OPTIONS: dict[str, dict[str, bool]] = {"timm_ge": {"use_mlp": False}}  # timm 1.0.31 cannot build its own perceptron


def names() -> list[str]:
    return [f"{block}/{kind}" for block in registry.available() for kind in PASSES]


def build(name: str, device: torch.device) -> Case:
    """The block and noise for its inputs; a gate of the form that it listens to."""
    block, _, kind = name.rpartition("/")
    coarse = registry.signal(spec.Block(block)) == "coarse"
    gate_channels = 2 * CHANNELS if coarse else CHANNELS
    module = registry.build(block, CHANNELS, gate_channels=gate_channels, **OPTIONS.get(block, {})).to(device)
    side = next(side for side in range(SIDE, 0, -1) if takes(module, side))
    skip = (BATCH, CHANNELS, side, side)
    gate = (BATCH, gate_channels, side // 2, side // 2) if coarse else skip
    shapes = [skip] if getattr(module, "listens", None) is None else [skip, gate]
    return passing(kind, module, [torch.randn(shape, device=device) for shape in shapes])


def takes(module: nn.Module, side: int) -> bool:
    """Whether a block can live with a square map."""
    try:
        getattr(module, "check_size", lambda size: None)((side, side))
    except AttnzooError:
        return False
    return True
