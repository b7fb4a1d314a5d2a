"""What is measured: a module, and the shapes that go in."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attnzoo.errors import AttnzooError, first_line
from attnzoo.measure.parameters import resident_bytes


@dataclass(frozen=True)
class Subject:
    """A module and the shapes of its inputs, without the batch: (C, *S) each."""

    module: nn.Module
    shapes: tuple[tuple[int, ...], ...]

    def inputs(self, batch: int, device: torch.device) -> list[Tensor]:
        """Noise, the same for all subjects of a shape, from a stream of its own."""
        draw = torch.Generator().manual_seed(0)
        return [torch.randn(batch, *shape, generator=draw).to(device) for shape in self.shapes]

    def resident_bytes(self, inputs: Sequence[Tensor]) -> int:
        """Bytes that are there before anything runs: parameters, buffers and inputs."""
        return resident_bytes(self.module) + sum(tensor.numel() * tensor.element_size() for tensor in inputs)


@contextmanager
def named(name: str, batch: int) -> Iterator[None]:
    """Say which module cannot run, why, and what helps."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise AttnzooError(
            f"`{name}` at batch {batch} does not fit into the GPU's memory", "take a smaller --batch or --image-size"
        ) from error
    except AttnzooError:
        raise
    except Exception as error:  # a module may be anybody's, and fail in its own way
        reason = first_line(error)
        raise AttnzooError(
            f"`{name}` cannot run at batch {batch}: {reason}",
            "take a larger --batch or --image-size, or --no-training"
            if "Expected more than 1 value" in reason  # batch norm's own words: it has no variance of one value
            else "call it on a tensor of this shape to see the whole of it",
        ) from error
