"""What the forward pass hands on, from step to step and to the backward pass: one tensor, and parts of it by name."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor


class Kept(NamedTuple):
    """All float32.

    h, w: gates, (B, C, H) and (B, C, W); rows, columns: sums of x, likewise; logits: the 3×3
    convolution's means, (B, C); mean, variance: y's, (B, C); scale: y's factor in m, (B, C); offset: (B, G); taps of
    the convolution to one channel: (c, 3, 3).
    """

    h: Tensor
    w: Tensor
    rows: Tensor
    columns: Tensor
    logits: Tensor
    mean: Tensor
    variance: Tensor
    scale: Tensor
    offset: Tensor
    taps: Tensor


def sizes(shape: Sequence[int], groups: int) -> list[int]:
    """How many numbers each has for a map (B, C, H, W), in their order."""
    batch, channels, height, width = shape
    maps = batch * channels
    return [maps * height, maps * width] * 2 + [maps] * 4 + [batch * groups, channels // groups * 9]


def parts(buffer: Tensor, sizes: list[int]) -> Kept:
    """A tensor of so many numbers, by name; flat, which is all that a kernel wants."""
    return Kept(*buffer.split_with_sizes(sizes))


def views(kept: Kept, shape: Sequence[int], groups: int) -> Kept:
    """The parts, in the shapes that they have."""
    batch, channels, height, width = shape
    tall, wide, flat = (batch, channels, height), (batch, channels, width), (batch, channels)
    shapes = (tall, wide, tall, wide, flat, flat, flat, flat, (batch, groups), (channels // groups, 3, 3))
    return Kept(*(part.view(shape) for part, shape in zip(kept, shapes, strict=True)))
