"""What the forward pass hands on, from step to step and to the backward pass: one tensor, and views of it by name."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
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


def numbers(shape: Sequence[int], groups: int) -> int:
    """How many there are for a map (B, C, H, W)."""
    return sum(_sizes(shape, groups))


def views(buffer: Tensor, shape: Sequence[int], groups: int) -> Kept:
    """A tensor of `numbers` numbers, by name."""
    batch, channels, height, width = shape
    h, w, rows, columns, logits, mean, variance, scale, offset, taps = torch.split(buffer, _sizes(shape, groups))
    tall, wide, flat = (batch, channels, height), (batch, channels, width), (batch, channels)
    return Kept(
        h.view(tall), w.view(wide), rows.view(tall), columns.view(wide), logits.view(flat), mean.view(flat),
        variance.view(flat), scale.view(flat), offset.view(batch, groups), taps.view(channels // groups, 3, 3),
    )  # fmt: skip


def _sizes(shape: Sequence[int], groups: int) -> list[int]:
    """Of each, in their order."""
    batch, channels, height, width = shape
    maps = batch * channels
    return [maps * height, maps * width] * 2 + [maps] * 4 + [batch * groups, channels // groups * 9]
