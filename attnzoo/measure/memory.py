"""The most memory that a call holds at once, above what was there before it."""

import weakref
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

METHODS = {
    "cuda": "the allocator's maximum (torch.cuda.max_memory_allocated), plus the module and its inputs",
    "cpu": "the most tensor bytes alive after any operator, plus the module and its inputs; kernels' workspaces unseen",
}


def peak_bytes(call: Callable[[], object], device: torch.device) -> int:
    """Run a call once; bytes at the highest point above those before it, measured as `METHODS` says."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        call()
        torch.cuda.synchronize(device)
        return int(torch.cuda.max_memory_allocated(device)) - before
    live = _LiveBytes()
    with live:
        call()
    return live.peak


class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's class is not annotated
    """Adds every storage that an operator makes, and takes it off when nothing holds it any more."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._known: dict[int, weakref.ref[torch.UntypedStorage]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        # what comes in unknown was there before
        for storage in _storages((args, kwargs)):
            self._follow(storage, 0)
        result = func(*args, **(kwargs or {}))
        for storage in _storages(result):
            self._follow(storage, storage.nbytes())
        self.peak = max(self.peak, self.now)
        return result

    def _follow(self, storage: torch.UntypedStorage, size: int) -> None:
        key = storage._cdata
        if key in self._known:
            return

        def gone(_: object) -> None:
            del self._known[key]
            self.now -= size

        self._known[key] = weakref.ref(storage, gone)
        self.now += size


def _storages(values: Any) -> Iterator[torch.UntypedStorage]:
    return (value.untyped_storage() for value in tree_leaves(values) if isinstance(value, Tensor))
