"""What is measured: a name each, and behind it a call to be timed. `pytest benchmarks` and the gate share this list."""

import torch

from . import blocks, hosts, loader, losses, metrics
from .case import Case

FAMILIES = {"block": blocks, "host": hosts, "loader": loader, "loss": losses, "metric": metrics}


def names(*families: str) -> list[str]:
    """Every benchmark, or those of some families: `block/ema/forward`, `loader/train/epoch`, …"""
    return [f"{family}/{name}" for family in families or FAMILIES for name in FAMILIES[family].names()]


def build(name: str, device: torch.device) -> Case:
    """The call behind a name; its weights and inputs are the same at every build.

    Raises:
        AttnzooError: What is measured cannot be built.
    """
    family, _, rest = name.partition("/")
    torch.manual_seed(0)
    return FAMILIES[family].build(rest, device)


__all__ = ["FAMILIES", "Case", "build", "names"]
