"""Several runs at a time, each in a process of its own that lives as long as there are runs."""

import gc
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from attnzoo.data.dataset import Dataset
from attnzoo.training.surroundings import stoppable
from attnzoo.workflows.attempt import Failure, Outcome, Setting, attempt, silent
from attnzoo.workflows.line import Line
from attnzoo.workflows.plan import Run
from attnzoo.workflows.state import note_failure

PATIENCE = 20.0  # seconds for a process that is asked to end
STOPPED = (130, 143, -signal.SIGINT, -signal.SIGTERM)  # somebody asked it to end: nothing has failed


def in_processes(
    line: Line,
    folder: Path,
    data: Dataset,
    setting: Setting,
    begin: Callable[[Run], None],
    end: Callable[[Run, Outcome], None],
) -> None:
    """Do all runs of a line, `setting.jobs` at a time; `begin` and `end` hear of each, in threads.

    A process that dies takes its run with it, and another is started for the rest. A signal ends all of them, as it
    would a single one.
    """
    torch.cuda.empty_cache()  # what rehearsal took is theirs now; does nothing without a GPU
    _warn(setting)
    workers = [_Worker(folder, data, setting) for _ in range(min(setting.jobs, len(line.waiting)))]

    def serve(worker: _Worker) -> None:
        while (run := line.take()) is not None:
            begin(run)
            if (outcome := worker.do(run)) is None:
                line.give_back(run)
            else:
                end(run, outcome)

    threads = [threading.Thread(target=serve, args=(worker,), daemon=True) for worker in workers]
    try:
        with stoppable():
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        line.close()
        for worker in workers:
            worker.stop()


def _warn(setting: Setting) -> None:
    """Threads of all processes together should not be more than there are cores."""
    threads, cores = torch.get_num_threads(), os.cpu_count() or 1
    if threads > 1 and setting.jobs * threads > cores:
        suits = max(1, cores // setting.jobs)
        setting.say(
            f"{setting.jobs} jobs of {threads} CPU threads each are more than {cores} cores; "
            f"OMP_NUM_THREADS={suits} suits them, from the first run of a folder on"
        )


class _Worker:
    """A process that does run after run; started for the first one, and again if it has died."""

    def __init__(self, folder: Path, data: Dataset, setting: Setting) -> None:
        # CUDA survives no fork
        self.context = multiprocessing.get_context("spawn")
        self.arguments = (folder, data, replace(setting, say=silent, jobs=1), torch.get_num_threads())
        self.stopped = False
        self.pipe: Connection | None = None
        self.process: multiprocessing.process.BaseProcess | None = None

    def do(self, run: Run) -> Outcome | None:
        """What became of a run; None if another process is doing it, or all are being stopped."""
        if self.stopped:
            return None
        pipe = self.pipe or self._start()
        try:
            pipe.send(run)
            outcome: Outcome | None = pipe.recv()
            return outcome
        except (EOFError, OSError):
            code = self._death()
            if self.stopped or code in STOPPED:
                return None
            how = f"was killed by signal {-code}" if code is not None and code < 0 else f"ended with exit code {code}"
            failure = Failure(f"its process {how}", "is memory short? take fewer `--jobs`")
            note_failure(self.arguments[0] / run.folder, failure.message, failure.hint)
            return failure

    def stop(self) -> None:
        """End the process; a run in it keeps its last epoch."""
        self.stopped = True
        if self.process is not None and self.process.is_alive():
            self.process.terminate()
            self.process.join(PATIENCE)
            self.process.kill()

    def _start(self) -> Connection:
        self.pipe, theirs = self.context.Pipe()
        self.process = self.context.Process(target=_work, args=(theirs, *self.arguments))
        self.process.start()
        theirs.close()  # or its end would never be noticed
        return self.pipe

    def _death(self) -> int | None:
        """How the process ended; the next run starts another."""
        self.pipe = None
        if self.process is None:
            return None
        self.process.join(PATIENCE)
        return self.process.exitcode


def _work(pipe: Connection, folder: Path, data: Dataset, setting: Setting, threads: int) -> None:
    """What a process does: a run for each that comes through the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches everybody at a terminal; the parent decides
    threading.Thread(target=_follow_parent, daemon=True).start()
    os.environ["TTY_COMPATIBLE"] = "0"  # a bar of each on one terminal would be a mess: lines instead
    torch.set_num_threads(threads)
    while True:
        try:
            run = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(attempt(run, folder, data, setting))
        except KeyboardInterrupt:
            sys.exit(130)
        gc.collect()
        torch.cuda.empty_cache()  # a GPU is shared


def _follow_parent() -> None:
    """End with the process that started this one, however that ends."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
