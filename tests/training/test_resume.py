"""A run that is killed, stopped or interrupted, and started again, is the run that was not."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from attnzoo.recipe import from_toml
from attnzoo.results import Result
from attnzoo.training import run
from attnzoo.training.history import History

SCRIPT = """
import sys
from pathlib import Path
from attnzoo.data import open_dataset
from attnzoo.recipe import from_toml
from attnzoo.training import run

if __name__ == "__main__":
    folder, drawing, plugin, workers = sys.argv[1:]
    recipe = from_toml(Path(folder).with_suffix(".toml").read_text(), name="default")
    data = open_dataset(Path(drawing), recipe.data)
    about = {"device": "cpu", "progress": False, "plugins": [plugin], "threads": 1, "workers": int(workers)}
    run(recipe, Path(folder), data=data, **about)
"""

Start = Callable[..., tuple["subprocess.Popen[bytes]", Path]]


@pytest.fixture
def start(tmp_path, recipe, drawing, plugin) -> Start:
    """Start the run in a process of its own and wait for two epochs; it is then in the middle of the third."""

    def begin(workers: int = 0):
        folder = tmp_path / "run"
        (tmp_path / "script.py").write_text(SCRIPT)
        folder.with_suffix(".toml").write_text(recipe.to_toml())
        process = subprocess.Popen(
            [sys.executable, str(tmp_path / "script.py"), str(folder), str(drawing), str(plugin), str(workers)],
            env={**os.environ, "NOISY_SLEEPS": "0.2"},
            stderr=subprocess.PIPE,
        )
        while len(lines(folder / "curves.csv")) < 3:
            if process.poll() is not None:
                pytest.fail(process.stderr.read().decode())
            time.sleep(0.01)
        return process, folder

    return begin


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def assert_same_run(folder: Path, other: Path) -> None:
    """Equal in every bit, but for what says where and how long."""
    for name in ("curves.csv", "scores.csv", "best.safetensors", "recipe.toml", "run.json"):
        assert (folder / name).read_bytes() == (other / name).read_bytes(), name
    one, two = ({**asdict(Result.read(each)), "environment": 0, "duration_s": 0} for each in (folder, other))
    assert one == two
    one, two = (np.load(each / "confusion.npz") for each in (folder, other))
    assert all(np.array_equal(one[name], two[name]) for name in one.files)
    one, two = (torch.load(each / "last.ckpt", weights_only=True) for each in (folder, other))
    for state in ("state_dict", "optimizer_states"):
        torch.testing.assert_close(one[state], two[state], rtol=0, atol=0)


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_a_killed_run_is_resumed_to_the_same_bits(start, workers, recipe, data, plugin, finished):
    process, folder = start(workers)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (folder / "result.json").exists()
    assert 3 <= len(lines(folder / "curves.csv")) < 5
    run(recipe, folder, data=data, device="cpu", progress=False, plugins=[plugin], threads=1, workers=workers)
    assert_same_run(folder, finished)


@pytest.mark.slow
def test_a_terminated_process_ends_with_143(start):
    process, folder = start()
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert not (folder / "result.json").exists()


@pytest.mark.parametrize(
    ("signum", "ending", "code"), [(signal.SIGTERM, SystemExit, 143), (signal.SIGINT, KeyboardInterrupt, None)]
)
def test_a_signal_ends_the_run_and_leaves_no_result(
    signum, ending, code, recipe, data, plugin, finished, tmp_path, monkeypatch
):
    about = {"data": data, "device": "cpu", "progress": False, "plugins": [plugin], "threads": 1}
    write, handler = History.write, signal.getsignal(signum)

    def signalled(history: History, folder: Path) -> None:
        write(history, folder)
        if history.epochs == 2:
            os.kill(os.getpid(), signum)

    monkeypatch.setattr(History, "write", signalled)
    with pytest.raises(ending) as stopped:
        run(recipe, tmp_path / "run", **about)
    assert getattr(stopped.value, "code", None) == code
    assert signal.getsignal(signum) is handler
    assert not (tmp_path / "run" / "result.json").exists()
    monkeypatch.undo()
    run(recipe, tmp_path / "run", **about)
    assert_same_run(tmp_path / "run", finished)


class EnoughError(Exception):
    """Stands for whatever may end a run."""


@pytest.mark.parametrize(("epochs", "workers"), [(1, 0), (3, 0), (1, 2)])
def test_schedules_precision_and_momentum_resume_too(epochs, workers, recipe, data, plugin, tmp_path, monkeypatch):
    changes = {"schedule": "cosine", "precision": "bf16-mixed", "optimizer": "sgd", "epochs": 3}
    asked = recipe.override({f"training.{name}": value for name, value in changes.items()})
    about = {"data": data, "device": "cpu", "progress": False, "plugins": [plugin], "threads": 1}
    run(asked, tmp_path / "undisturbed", **about)
    write = History.write

    def stop(history: History, folder: Path) -> None:
        if history.epochs == epochs and "interrupted" in folder.name:
            monkeypatch.undo()
            raise EnoughError
        write(history, folder)

    monkeypatch.setattr(History, "write", stop)
    with pytest.raises(EnoughError):
        run(asked, tmp_path / "interrupted", **about)
    assert len(lines(tmp_path / "interrupted" / "curves.csv")) == (epochs if epochs > 1 else 0)
    # Lightning alone lets workers begin the first resumed epoch with the first epoch's order (#21938)
    run(asked, tmp_path / "interrupted", **about, workers=workers)
    assert_same_run(tmp_path / "interrupted", tmp_path / "undisturbed")


def test_workers_change_no_number(recipe, data, plugin, finished, tmp_path):
    run(recipe, tmp_path / "run", data=data, device="cpu", progress=False, plugins=[plugin], threads=1, workers=1)
    assert_same_run(tmp_path / "run", finished)


def test_the_recipe_in_the_folder_is_the_recipe(finished, recipe):
    assert from_toml((finished / "recipe.toml").read_text(), name="x").decides() == recipe.decides()
