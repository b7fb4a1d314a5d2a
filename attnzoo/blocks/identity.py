"""The null control: a slot that is filled and does nothing."""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from attnzoo.registry import check_form, register


@register("identity", paper="A control: nothing is done", year=2026, reference="attnzoo", group="controls")
class Identity(nn.Module):
    """Leaves the skip as it is.

    What differs between a network with `identity` and one without any attention is no effect of attention: the noise of
    timings, and of training where arithmetic is not deterministic. It has no parameters and costs nothing.

    Args:
        channels: Width of the skip.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S.

    Reference:
        attnzoo's own; no paper.

    Deviations:
        None.
    """

    kind: ClassVar[Literal["add"]] = "add"

    def __init__(self, channels: int, *, dims: Literal[2, 3] = 2) -> None:
        super().__init__()
        check_form("identity", dims, channels=channels)

    def forward(self, x: Tensor) -> Tensor:
        return x  # x + added(x), without the sum

    def added(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)
