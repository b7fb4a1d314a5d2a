"""Runs that wait for somebody to do them; several threads, and other processes, may take from one line."""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from attnzoo.workflows.plan import Run
from attnzoo.workflows.state import in_use

POLL = 1.0  # seconds between two looks at runs that other processes are doing


class Line:
    """Hands out each run once; one that another process works at is left for later.

    Args:
        runs: What is to be done, in this order.
        folder: The one that their folders are in.
        say: Hears of runs that are left for later.
    """

    def __init__(self, runs: Sequence[Run], folder: Path, say: Callable[[str], None]) -> None:
        self.waiting, self.folder, self.say = list(runs), folder, say
        self.lock = threading.Lock()
        self.told: set[Run] = set()
        self.closed = False

    def take(self) -> Run | None:
        """The next run that nobody works at; waits for it, if need be. None when nothing is left."""
        while True:
            with self.lock:
                if self.closed or not self.waiting:
                    return None
                for run in self.waiting:
                    if not in_use(self.folder / run.folder):
                        self.waiting.remove(run)
                        return run
                    self._tell(run)
            time.sleep(POLL)

    def give_back(self, run: Run) -> None:
        """Another process was faster, or somebody ended the one that did it."""
        with self.lock:
            if self.closed:
                return
            if in_use(self.folder / run.folder):
                self._tell(run)
            else:
                self.say(f"{run}: its process was asked to end, and the run waits for the next one")
            self.waiting.append(run)

    def close(self) -> None:
        """Hand out nothing any more."""
        with self.lock:
            self.closed = True

    def _tell(self, run: Run) -> None:
        if run not in self.told:
            self.told.add(run)
            self.say(f"{run} is being done by another process: left for later")
