"""What the contract cannot read from a signature, one row for each block; and modules and maps filled by formula."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from attnzoo import registry, spec

CHANNELS, GATE_CHANNELS = 64, 96


@dataclass(frozen=True)
class Case:
    """`others`: for each option a value that must change something. `impossible`: (channels, options) to be refused.

    `without_gradient`: parameters that the output does not depend on, each for a reason that its docstring gives.
    """

    others: Mapping[str, spec.Value] = field(default_factory=dict)
    impossible: tuple[tuple[int, Mapping[str, spec.Value]], ...] = ()
    without_gradient: frozenset[str] = frozenset()


CASES = {
    "cbam": Case(
        others={"reduction": 8, "kernel": 3},
        impossible=((8, {}), (64, {"reduction": 0}), (64, {"reduction": 65}), (64, {"kernel": 4}), (64, {"kernel": 0})),
    ),
    "ema": Case(
        others={"groups": 8},
        impossible=((48, {}), (64, {"groups": 0}), (64, {"groups": -8}), (64, {"groups": 128}), (1, {})),
    ),
    "gate": Case(others={"inner": 8}, impossible=((64, {"inner": 0}),)),
    "grid_gate": Case(others={"inner": 8}, impossible=((64, {"inner": 0}),)),
    "se": Case(others={"reduction": 8}, impossible=((8, {}), (64, {"reduction": 0}), (64, {"reduction": 65}))),
}


def make(name: str, channels: int = CHANNELS, dims: int = 2, **options: spec.Value) -> nn.Module:
    """A block in evaluation mode, filled by formula."""
    block = registry.build(name, channels, gate_channels=GATE_CHANNELS, dims=dims, **options).eval()
    fill(block)
    return block


def fill(module: nn.Module) -> None:
    """Weights, buffers too, that depend on no generator: waves, positive where they are variances."""
    for index, (name, tensor) in enumerate(module.state_dict().items()):
        if tensor.is_floating_point():
            values = wave(*tensor.shape, start=index) / 2
            tensor.copy_(1 + values if name.endswith("running_var") else values)


def wave(*shape: int, start: float = 0.0) -> Tensor:
    """A map from -1 to 1 that looks disorderly and is the same everywhere; in float64."""
    count = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
    return torch.sin(start + 0.7 * count + 0.01 * count.square()).reshape(shape)


def inputs(name: str, size: tuple[int, ...], batch: int = 2) -> tuple[Tensor, ...]:
    """The skip, and for a gated block the decoder's feature in the size that it listens to; in float32."""
    skip = wave(batch, CHANNELS, *size).float()
    listens = registry.entry(name).listens
    if listens is None:
        return (skip,)
    other = size if listens == "upsampled" else tuple(-(-edge // 2) for edge in size)
    return skip, wave(batch, GATE_CHANNELS, *other, start=1.0).float()
