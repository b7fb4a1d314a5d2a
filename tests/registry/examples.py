"""A block that does next to nothing, and how a refusal is caught."""

from collections.abc import Callable
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from attnzoo.errors import AttnzooError

ABOUT = {"paper": "Nobody: Nothing", "year": 2026, "reference": "https://example.org"}


class Scale(nn.Module):
    """The least that a block is; tests change one thing at a time."""

    kind: ClassVar[str] = "scale"

    def __init__(self, channels: int, *, by: float = 2.0) -> None:
        super().__init__()
        self.by = by

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights(x)

    def weights(self, x: Tensor) -> Tensor:
        return torch.full_like(x, self.by)


def refused(act: Callable[[], object]) -> tuple[str, str | None]:
    with pytest.raises(AttnzooError) as caught:
        act()
    return caught.value.message, caught.value.hint
