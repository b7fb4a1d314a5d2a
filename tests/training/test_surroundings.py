"""What a run changes in its process, and puts back."""

import logging
import os
import signal
import threading
import warnings

import pytest
import torch

from attnzoo.errors import AttnzooError
from attnzoo.training.surroundings import LOGGERS, cpu_threads, determinism, quiet, stoppable


@pytest.mark.parametrize(("signum", "ending"), [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)])
def test_signals_end_what_is_stoppable(signum, ending):
    before = signal.getsignal(signum)

    @stoppable()
    def work() -> None:
        os.kill(os.getpid(), signum)
        threading.Event().wait(5)

    with pytest.raises(ending) as end:
        work()
    assert signal.getsignal(signum) is before
    assert ending is KeyboardInterrupt or end.value.code == 143


def test_other_threads_leave_signals_alone():
    seen = []

    def look() -> None:
        with stoppable():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]


def test_determinism_lasts_as_long_as_it_is_wanted(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    with determinism(False):
        assert not torch.are_deterministic_algorithms_enabled()

    @determinism(True)
    def work() -> None:
        assert torch.are_deterministic_algorithms_enabled()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        raise KeyError

    with pytest.raises(KeyError):
        work()
    assert not torch.are_deterministic_algorithms_enabled()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


def test_threads_are_put_back():
    before = torch.get_num_threads()
    with cpu_threads(before + 2):
        assert torch.get_num_threads() == before + 2
    with cpu_threads(None):
        assert torch.get_num_threads() == before
    assert torch.get_num_threads() == before
    with pytest.raises(AttnzooError) as error, cpu_threads(0):
        pass
    assert error.value.message == "`threads` must be at least 1, not `0`"


def test_quiet_silences_lightning_and_nothing_else():
    levels = [logging.getLogger(name).level for name in LOGGERS]
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with quiet():
            warnings.warn("GPU available but not used. You can set it by …", stacklevel=1)
            assert not logging.getLogger("lightning.pytorch.utilities.rank_zero").isEnabledFor(logging.INFO)
        warnings.warn("something else", stacklevel=1)
    assert [str(one.message) for one in heard] == ["something else"]
    assert [logging.getLogger(name).level for name in LOGGERS] == levels
