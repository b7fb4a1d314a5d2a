"""One side of the comparison: a process that holds one tree's attnzoo and answers a JSON line by a JSON line.

    python -P worker.py TREE DEFINITIONS DEVICE

`attnzoo` comes from TREE and the benchmarks from DEFINITIONS, so that both sides do the same work.
"""

import importlib.util
import json
import os
import sys
from collections.abc import Callable

# by name, before a tree's attnzoo is imported: what that puts in their place is not measured with
from gc import collect, disable, enable, freeze, unfreeze
from os import pread
from pathlib import Path
from time import perf_counter_ns
from typing import Any, get_args, get_type_hints

WARM = 3
SCHEDULED = Path("/proc/thread-self/schedstat")


def waiting() -> Callable[[], int]:
    """The nanoseconds that this thread was ready and another one had its core; always 0 where the kernel does not say.

    Neighbours make a thread wait for eight milliseconds at a time. Taken off the wall clock, that leaves what the
    program did, its own sleeping included; the processor's clock would leave sleeping out.
    """
    try:
        file = os.open(SCHEDULED, os.O_RDONLY)
        if int(pread(file, 100, 0).split()[0]) > 0:
            return lambda: int(pread(file, 100, 0).split()[1])
    except (OSError, ValueError, IndexError):
        pass
    return lambda: 0


class Worker:
    """Answers questions; the case that was built last is the one that is timed."""

    def __init__(self, definitions: Path, device: str) -> None:
        home = definitions / "benchmarks"
        spec = importlib.util.spec_from_file_location("benchmarks", home / "__init__.py")
        if spec is None or spec.loader is None:
            raise ImportError(f"no benchmarks in {definitions}")
        sys.modules["benchmarks"] = importlib.util.module_from_spec(spec)
        import torch

        self.synchronize = torch.cuda.synchronize  # bound early, like the clock
        import attnzoo
        from attnzoo.measure.machine import describe, resolve
        from benchmarks import cases

        self.cases, self.device, self.describe = cases, resolve(device), describe
        self.home = str(Path(attnzoo.__file__).parents[1])
        self.waited = waiting()
        self.call: Callable[[], object] = lambda: None

    def hello(self) -> dict[str, Any]:
        """Where attnzoo came from, every benchmark, and those that must be among them."""
        from attnzoo import losses, registry
        from attnzoo.recipe import Model

        hosts = get_args(get_type_hints(Model)["host"])
        required = [f"block/{name}/{kind}" for name in registry.available() for kind in ("forward", "forward+backward")]
        required += [f"host/{name}/forward" for name in hosts] + [f"loss/{name}" for name in losses.TERMS]
        return {"home": self.home, "names": self.cases.names(), "required": required}

    def machine(self) -> dict[str, Any]:
        """What is measured on."""
        clock = "wall, less waiting for a core" if self.waited() else "wall"
        return {**self.describe(self.device), "device": str(self.device), "clock": clock}

    def build(self, name: str) -> dict[str, Any]:
        """Build a case and warm it up; the seconds of a call, or why there is none."""
        self.call = lambda: None  # what was timed before gives its memory back first
        unfreeze()
        collect()
        try:
            self.call = self.cases.build(name, self.device).call
            for _ in range(WARM):
                self._finished()
            freeze()  # or every window would begin by looking through all of torch
            return {"error": None, "seconds": min(self._taken(WARM, 1))}
        except Exception as error:  # whatever a revision's code does, the gate goes on and says so
            return {"error": reason(error), "seconds": None}

    def time(self, samples: int, repeat: int) -> dict[str, Any]:
        """Seconds of a call, for each sample of `repeat` calls, or why there are none."""
        try:
            return {"error": None, "seconds": self._taken(samples, repeat)}
        except Exception as error:  # likewise
            return {"error": reason(error), "seconds": None}

    def _taken(self, samples: int, repeat: int) -> list[float]:
        taken = []
        collect()  # before the clock starts, and not in the middle
        disable()
        try:
            for _ in range(samples):
                waited, start = self.waited(), perf_counter_ns()
                for _ in range(repeat):
                    self._finished()
                wall = perf_counter_ns() - start
                taken.append(max(1, wall - (self.waited() - waited)) / repeat / 1e9)
        finally:
            enable()
        return taken

    def _finished(self) -> None:
        self.call()
        if self.device.type == "cuda":
            self.synchronize(self.device)


def reason(error: Exception) -> str:
    """An error's first line; its type where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def main(tree: str, definitions: str, device: str) -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints is talk
    sys.path.insert(0, tree)
    try:
        worker = Worker(Path(definitions), device)
    except Exception as error:
        print(json.dumps({"failed": reason(error)}), file=answers)
        return
    for line in sys.stdin:
        question = json.loads(line)
        print(json.dumps(getattr(worker, question.pop("ask"))(**question)), file=answers)


if __name__ == "__main__":
    main(*sys.argv[1:])
