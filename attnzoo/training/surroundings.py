"""What a run changes in its process while it lasts, and puts back afterwards."""

import logging
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch

from attnzoo.errors import AttnzooError


class Stopped(BaseException):
    """A signal asks the run to end. Not an `Exception`, so that nobody takes it for a mistake to recover from."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


@contextmanager
def stoppable() -> Iterator[None]:
    """SIGTERM ends the process with exit code 143, SIGINT raises KeyboardInterrupt; Lightning would end with 0 and 1.

    The handlers of before come back. Only a main thread can have handlers; elsewhere signals stay as they are.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(signum: int, frame: FrameType | None) -> None:
        raise Stopped(signum)

    before = {signum: signal.signal(signum, stop) for signum in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    except Stopped as stopped:
        if stopped.signum == signal.SIGINT:
            raise KeyboardInterrupt from None
        raise SystemExit(128 + stopped.signum) from None
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


@contextmanager
def cpu_threads(number: int | None) -> Iterator[None]:
    """Compute with so many CPU threads; None leaves them as they are. Sums, so scores, depend on their number."""
    if number is not None and number < 1:
        raise AttnzooError(
            f"`threads` must be at least 1, not `{number}`", "it is the number of CPU threads to compute with"
        )
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def determinism(wanted: bool) -> Iterator[None]:
    """torch's deterministic algorithms, which matter on a GPU only."""
    if not wanted:
        yield
        return
    # cuBLAS reads this when it is first used
    key, value = "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
    enabled, warn_only = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    workspace = os.environ.get(key)
    os.environ[key] = value
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
        if workspace is None:
            del os.environ[key]
        else:
            os.environ[key] = workspace


@contextmanager
def quiet() -> Iterator[None]:
    """Lightning without its banners, tips and advice, which are for its own users."""
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    with warnings.catch_warnings():
        silence()
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)


LOGGERS = ("lightning.pytorch", "lightning.fabric")


def silence() -> None:
    """As `quiet`, for good: in the processes that Lightning starts."""
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    # the number of workers is the user's choice, and small data sets need none
    warnings.filterwarnings("ignore", "The '.*_dataloader' does not have many workers")
    # so is the device
    warnings.filterwarnings("ignore", "GPU available but not used")
    # the block within `frozen` is, and stays so
    warnings.filterwarnings("ignore", r"Found \d+ module\(s\) in eval mode")
    # Lightning 2.6.6 walks loaders with a class that torch 2.15 is about to rename
    warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
