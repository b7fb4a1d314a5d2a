"""A block under examination, on maps that it can take."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attnzoo import registry, spec
from attnzoo.errors import AttnzooError

CHANNELS = 64
SEED = 0
USUAL = (24, 20)


@dataclass(frozen=True)
class Subject:
    """How a block is built and fed here: 64 channels, a gate of 64, one seed for everything."""

    block: spec.Block
    dims: int = 2

    @property
    def signal(self) -> str | None:
        """Which of the decoder's signals it hears."""
        return registry.signal(self.block)

    def fresh(self) -> nn.Module:
        """As a network gets it at its start."""
        with seeded():
            return registry.build_block(self.block, CHANNELS, CHANNELS if self.signal else None, self.dims).eval()

    def awake(self) -> nn.Module:
        """With every parameter off its start, so that a weight that begins at zero does not hide what is behind it."""
        block = self.fresh()
        with seeded(), torch.no_grad():
            for weight in block.parameters():
                weight.add_(0.1 * torch.randn(weight.shape))
        return block

    def inputs(self, size: tuple[int, ...], batch: int = 2) -> tuple[Tensor, ...]:
        """Standard normal noise, for the skip and, where it is heard, the decoder's signal.

        Raises:
            AttnzooError: If the block says that it cannot take a map of this size.
        """
        block = self.fresh()
        if (check := getattr(block, "check_size", None)) is not None:
            check(size)
        with seeded():
            skip = torch.randn(batch, CHANNELS, *size)
            if getattr(block, "listens", None) is None:
                return (skip,)
            other = size if self.signal == "upsampled" else tuple(-(-edge // 2) for edge in size)
            return skip, torch.randn(batch, CHANNELS, *other)

    def takes(self, size: tuple[int, ...]) -> bool:
        """Whether the block takes a map of this size; one that is bound to others says so in `check_size`."""
        check = getattr(self.fresh(), "check_size", None)
        try:
            if check is not None:
                check(size)
        except AttnzooError:
            return False
        return True

    def largest(self, edge: int) -> int:
        """The edge of the largest square map up to `edge` that the block takes."""
        return next((side for side in range(edge, 1, -1) if self.takes((side,) * self.dims)), 1)

    @property
    def usual(self) -> tuple[int, ...]:
        """A small map that is not square, or for a block bound to others the largest square of about that size."""
        return USUAL if self.takes(USUAL) else (self.largest(max(USUAL)),) * self.dims


@contextmanager
def seeded() -> Iterator[None]:
    """Inside, torch's generator begins at one seed; outside, nothing has happened."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(SEED)
        yield
