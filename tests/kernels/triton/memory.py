"""What the interpreter forgives and a GPU does not: reads outside a tensor, and programs or threads that race.

The interpreter runs program after program in one thread. So here every launch works on copies that lie apart from each
other, and every load and store is looked at: who else was at that place, and was there a barrier in between?
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor
from triton.runtime.interpreter import interpreter_builder

from attnzoo.kernels.triton.launching import Launch

APART = 4096  # bytes between two tensors, where nobody has any business
NOBODY, SEVERAL = -1, -2

Places = npt.NDArray[np.int64]  # of bytes, (numbers, bytes of each)
Bytes = npt.NDArray[np.uint8]


class FaultError(AssertionError):
    """A kernel did what it may not."""


class Arena:
    """Copies of a launch's tensors, and what happened to each of their bytes.

    Parts of one tensor are apart here, as if each were all that a kernel knows.
    """

    def __init__(self, kernel: str, tensors: tuple[Tensor, ...]) -> None:
        self.kernel, self.program, self.barriers = kernel, 0, 0
        self.originals = {_key(one): one for one in tensors}  # one that a kernel does not look at may be given twice
        size = sum(len(_bytes(one)) + APART for one in self.originals.values()) + APART
        self.bytes = torch.full((size,), 0xFF, dtype=torch.uint8)
        self.there = np.zeros(size, bool)
        self.writer, self.reader, self.written = (np.full(size, NOBODY, np.int64) for _ in range(3))
        self.loads: list[Places] = []  # of this program since the last barrier
        self.starts: dict[tuple[object, ...], int] = {}
        start = APART // 2
        for key, one in self.originals.items():
            start += (one.data_ptr() - self.bytes.data_ptr() - start) % 16  # as it was aligned
            span = _bytes(one)
            self.bytes[start : start + len(span)] = span
            elements = torch.arange(start, start + len(span), one.element_size())
            for byte in range(one.element_size()):
                self.there[elements.as_strided(one.shape, one.stride()).flatten().numpy() + byte] = True
            self.starts[key] = start
            start += len(span) + APART - 16

    def copy(self, tensor: Tensor) -> Tensor:
        start = self.starts[_key(tensor)]
        span = self.bytes[start : start + len(_bytes(tensor))]
        return span.view(tensor.dtype).as_strided(tensor.shape, tensor.stride())

    def give_back(self) -> None:
        """What was written, to the tensors themselves."""
        for key, one in self.originals.items():
            span, start = _bytes(one), self.starts[key]
            here = slice(start, start + len(span))
            written = torch.from_numpy(self.writer[here] != NOBODY)
            span[written] = self.bytes[here][written]

    def begin(self, program: int) -> None:
        self.program, self.barriers = program, 0
        self.loads.clear()

    def barrier(self) -> None:
        self.barriers += 1
        self.loads.clear()

    def places(self, pointers: Any, mask: Any, does: str) -> Places:
        """The bytes that are meant."""
        size = pointers.get_element_ty().primitive_bitwidth // 8
        first = pointers.data[mask.data.astype(bool)].astype(np.int64) - self.bytes.data_ptr()
        found: Places = first[:, None] + np.arange(size)
        if ((found < 0) | (found >= len(self.there))).any() or not self.there[found].all():
            self._fault(f"{does} outside of its tensors")
        return found

    def load(self, found: Places) -> None:
        reader, writer = self.reader[found], self.writer[found]
        if ((writer != NOBODY) & (writer != self.program)).any():
            self._fault("reads what another writes in the same launch")
        if ((writer == self.program) & (self.written[found] == self.barriers)).any():
            self._fault("reads what it wrote, without a barrier in between")
        self.reader[found] = np.where((reader == NOBODY) | (reader == self.program), self.program, SEVERAL)
        self.loads.append(found)

    def store(self, found: Places, before: Bytes, after: Bytes, meant: Bytes) -> None:
        reader, writer = self.reader[found], self.writer[found]
        changed = before != after  # several may write the same: each reads what it wrote itself
        if ((reader != NOBODY) & (reader != self.program) & changed).any():
            self._fault("writes what another reads in the same launch")
        # in place, number by number, the thread that stores is the one that has loaded
        others = (one for one in self.loads if not np.array_equal(found, one))
        if (reader == self.program).any() and any(np.isin(found, one).any() for one in others):
            self._fault("writes what it read, without a barrier in between")
        if ((writer != NOBODY) & (writer != self.program) & changed).any():
            self._fault("and another write different numbers to one place")
        if (after != meant).any():
            self._fault("writes different numbers to one place")
        self.writer[found], self.written[found] = self.program, self.barriers

    def _fault(self, did: str) -> None:
        raise FaultError(f"{self.kernel}: program {self.program} {did}")


def _key(tensor: Tensor) -> tuple[object, ...]:
    return tensor.data_ptr(), tensor.shape, tensor.stride()


def _bytes(tensor: Tensor) -> Tensor:
    """From the first element to the last, where they are."""
    reach = sum((length - 1) * step for length, step in zip(tensor.shape, tensor.stride(), strict=True)) + 1
    start, size = tensor.storage_offset() * tensor.element_size(), reach * tensor.element_size()
    return torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage(), start, (size,))


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Within, a launch that does what it may not ends in a `FaultError`, and what is new is NaN until it is written."""
    arena: Arena  # of the launch that is under way
    builder, launch = type(interpreter_builder), Launch.__call__
    load, store, begin = builder.create_masked_load, builder.create_masked_store, builder.set_grid_idx

    def watched_load(self: Any, pointers: Any, mask: Any, *others: Any) -> Any:
        arena.load(arena.places(pointers, mask, "reads"))
        return load(self, pointers, mask, *others)

    def watched_store(self: Any, pointers: Any, value: Any, mask: Any, *others: Any) -> None:
        found = arena.places(pointers, mask, "writes")
        before = arena.bytes.numpy()[found]
        store(self, pointers, value, mask, *others)
        meant = value.data[mask.data.astype(bool)].view(np.uint8).reshape(found.shape)
        arena.store(found, before, arena.bytes.numpy()[found], meant)

    def watched_begin(self: Any, *place: int) -> None:
        arena.begin(place[0])
        begin(self, *place)

    def watched_launch(self: Launch, *tensors: Tensor) -> None:
        nonlocal arena
        arena = Arena(self.kernel.__name__, tensors)
        launch(self, *map(arena.copy, tensors))
        arena.give_back()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builder, "create_masked_load", watched_load)
        patch.setattr(builder, "create_masked_store", watched_store)
        patch.setattr(builder, "create_barrier", lambda self: arena.barrier())
        patch.setattr(builder, "set_grid_idx", watched_begin)
        patch.setattr(Launch, "__call__", watched_launch)
        deterministic = torch.are_deterministic_algorithms_enabled()
        torch.use_deterministic_algorithms(True)  # which fills what is new
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(deterministic)
