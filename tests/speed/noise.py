"""A machine on which equal programs differ by 0.82 to 1.35 one after the other, and by 0.96 to 1.03 in turns."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


class Machine:
    """Its speed drifts from call to call; neighbours take the core for eight milliseconds at a time."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.drift = 0.0

    def times(self, seconds: float, count: int) -> np.ndarray:
        """Of so many calls, one after the other."""
        # a walk that is pulled home: log-speed of deviation 0.12, forgotten in some hundred windows
        self.drift += -0.01 * self.drift + 0.017 * self.random.standard_normal()
        jitter = 0.06 * self.random.standard_normal(count)
        stolen = 0.008 * (self.random.random(count) < 0.03)
        return seconds * np.exp(self.drift + jitter) + stolen


class Program:
    """A side that is no process: a list of names, and how long each takes on a shared machine."""

    def __init__(self, machine: Machine, seconds: dict[str, float], required: list[str] | None = None) -> None:
        self.machine, self.seconds = machine, seconds
        self.names = list(seconds)
        self.required = required or []
        self.broken: dict[str, str] = {}
        self.tired: dict[str, str] = {}
        self.fatal: set[str] = set()
        self.gone = False
        # code and data lie better in one process than in another
        self.luck = {name: math.exp(0.015 * machine.random.standard_normal()) for name in seconds}
        self.name, self.now = "", 0.0

    def build(self, name: str) -> tuple[float, str | None]:
        assert not self.gone, "a process that has ended is asked nothing"
        if name not in self.seconds or name in self.broken:
            self.gone = name in self.fatal
            return 0.0, self.broken.get(name, f"no `{name}`")
        self.name, self.now = name, self.seconds[name] * self.luck[name]
        return self.now, None

    def time(self, samples: int, repeat: int) -> list[float]:
        from benchmarks.gate.run import UnfinishedError

        if self.name in self.tired:
            self.gone = self.name in self.fatal
            raise UnfinishedError(f"at head: {self.tired[self.name]}")
        return list(self.machine.times(self.now * repeat, samples) / repeat)


class Pair:
    """Opens two programs, afresh each time as the gate wants it."""

    def __init__(self, seed: int, base: dict[str, float], head: dict[str, float]) -> None:
        self.machine, self.base, self.head = Machine(seed), base, head
        self.required: list[str] = []
        self.broken: tuple[dict[str, str], dict[str, str]] = ({}, {})
        self.tired: dict[str, str] = {}  # what head can build and warm up, and no more
        self.fatal: set[str] = set()  # of these and the broken, what takes its process along
        self.opened = 0

    @contextmanager
    def __call__(self) -> Iterator[tuple[Program, Program]]:
        self.opened += 1
        base, head = Program(self.machine, self.base), Program(self.machine, self.head, self.required)
        base.broken, head.broken = self.broken
        head.tired, base.fatal, head.fatal = self.tired, self.fatal, self.fatal
        yield base, head
