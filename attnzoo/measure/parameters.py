"""How many numbers a module learns, and how many bytes it holds."""

from torch import nn


def parameters(module: nn.Module) -> int:
    """Learned numbers, frozen ones included, shared ones counted once; buffers such as running means are none."""
    return sum(parameter.numel() for parameter in module.parameters())


def resident_bytes(module: nn.Module) -> int:
    """Bytes of parameters and buffers."""
    return sum(tensor.numel() * tensor.element_size() for tensor in (*module.parameters(), *module.buffers()))
