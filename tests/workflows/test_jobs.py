"""Runs that fail stop no others; several processes share a folder; each run is done once."""

import errno
import pickle
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest
import torch

from attnzoo import registry, spec
from attnzoo.data import Dataset, open_dataset
from attnzoo.errors import AttnzooError
from attnzoo.recipe import Recipe
from attnzoo.training.folder import locked
from attnzoo.workflows import line as lines
from attnzoo.workflows import record
from attnzoo.workflows.ablate import ablate
from attnzoo.workflows.execute import Setting
from attnzoo.workflows.line import Line
from attnzoo.workflows.plan import plan
from attnzoo.workflows.state import in_use, state

PLUGIN = '''
import os
from torch import Tensor, nn
from attnzoo.registry import register

@register("brittle", paper="none", year=2026, reference="none")
class Brittle(nn.Module):
    """Breaks in the fifth training step: rehearsal does not see it."""
    kind = "mix"

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Conv2d(channels, channels, 1)
        self.steps = 0

    def forward(self, x: Tensor) -> Tensor:
        self.steps += self.training
        if self.steps == 5 and "LETHAL" in os.environ:
            os._exit(9)
        if self.steps == 5:
            raise RuntimeError("a cable broke")
        return x * self.scale(x)
'''

# light: without torch, which takes seconds to import
HOLD = """
import fcntl, sys
with open(sys.argv[1] + "/.lock", "a+") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
"""
ASK = "import sys, pathlib; from attnzoo.workflows import state; print(state.in_use(pathlib.Path(sys.argv[1])))"
ADD = """
import pickle, sys
from pathlib import Path
from attnzoo.workflows import record
for recipe, data, runs in pickle.loads(Path(sys.argv[1]).read_bytes()):
    record.add(Path(sys.argv[2]), recipe, data, runs)
"""


@pytest.fixture(scope="module")
def data(drawn: Path, tiny: Recipe) -> Dataset:
    return open_dataset(drawn, tiny.data)


@pytest.fixture
def brittle(fresh: None, tmp_path: Path) -> registry.Plugin:
    path = tmp_path / "brittle.py"
    path.write_text(PLUGIN, encoding="utf-8")
    return registry.load_plugin(path)


def read_only(*_: object) -> None:
    raise OSError(errno.EROFS, "Read-only file system")


@contextmanager
def held(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that works in a folder until its stdin ends."""
    folder.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.stdin.close()


def test_a_lock_is_seen_without_being_taken(tmp_path: Path) -> None:
    def asked() -> str:
        command = [sys.executable, "-c", ASK, str(tmp_path)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    with locked(tmp_path):
        assert asked() == "True"
    assert asked() == "False"
    with held(tmp_path):
        assert in_use(tmp_path)
        assert state(tmp_path).word == "running"
    assert not in_use(tmp_path)
    with locked(tmp_path):
        pass


def test_a_line_leaves_what_others_do_for_later(tiny: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "POLL", 0.02)
    runs, said = plan(tiny, spec.parse_arms("none,gate"), (0, 1)), list[str]()
    line = Line(runs, tmp_path, said.append)
    with held(tmp_path / runs[0].folder) as process:
        assert line.take() is runs[1]
        line.give_back(runs[1])
        assert [line.take() for _ in range(3)] == [runs[2], runs[3], runs[1]]
        with held(tmp_path / runs[2].folder):
            line.give_back(runs[2])
        assert line.take() is runs[2]
        threading.Timer(0.1, process.stdin.close).start()  # type: ignore[union-attr]
        assert line.take() is runs[0]
    assert line.take() is None
    assert said == [
        "none, seed 0 is being done by another process: left for later",
        "gate, seed 0: its process was asked to end, and the run waits for the next one",
        "none, seed 1 is being done by another process: left for later",
    ]


def test_records_of_many_processes_lose_nothing(tiny: Recipe, data: Dataset, tmp_path: Path) -> None:
    processes = []
    for number in range(3):
        seeds = range(10 * number, 10 * number + 10)
        (tmp_path / f"{number}").write_bytes(
            pickle.dumps([(tiny, data, plan(tiny, spec.parse_arms("none,gate"), (seed,))) for seed in seeds])
        )
        command = [sys.executable, "-c", ADD, str(tmp_path / f"{number}"), str(tmp_path / "out")]
        processes.append(subprocess.Popen(command))
    assert [process.wait() for process in processes] == [0] * 3
    found = {(arm, seed) for arm, seed, _ in record.planned(tmp_path / "out")}
    assert found == {(arm, seed) for arm in ("none", "gate") for seed in range(30)}


def edited(plugin: registry.Plugin) -> None:
    """The file with another kernel: a block of more parameters."""
    source = PLUGIN.replace("nn.Conv2d(channels, channels, 1)", "nn.Conv2d(channels, channels, 3, padding=1)")
    plugin.path.write_text(source, encoding="utf-8")


def test_a_plugin_that_is_edited_meanwhile_is_trained_as_it_was(
    tiny: Recipe, data: Dataset, brittle: registry.Plugin, tmp_path: Path
) -> None:
    def say(line: str) -> None:
        if line.startswith("[2/2]"):
            edited(brittle)

    setting = Setting("cpu", plugins=(brittle,), say=say)
    done = ablate(tiny, spec.parse_arms("brittle"), (0, 1), data, tmp_path / "out", setting, timed=False)
    first, second = done.results
    assert first.identity["plugins"] == second.identity["plugins"]
    assert first.parameters == second.parameters


@pytest.mark.slow
def test_a_process_that_would_train_an_edited_plugin_refuses(
    tiny: Recipe, data: Dataset, brittle: registry.Plugin, tmp_path: Path
) -> None:
    setting = Setting("cpu", plugins=(brittle,), jobs=2)
    edited(brittle)
    with pytest.raises(AttnzooError) as caught:
        ablate(tiny, spec.parse_arms("brittle"), (0, 1), data, tmp_path / "out", setting, timed=False)
    assert caught.value.message == f"no arm has all its runs: `{brittle.path}` has changed since this command began"
    assert caught.value.hint == "put the old one back, or begin another folder"


def test_a_full_disk_is_a_failure_and_stops_no_other(
    tiny: Recipe, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch says it in words of its own; and then there is no room for the failure either."""
    save = torch.save

    def no_room(what: object, file: BinaryIO) -> None:
        if "gate" in file.name:
            raise RuntimeError("unexpected pos 64 vs 0") from OSError(errno.ENOSPC, "No space left on device")
        save(what, file)

    monkeypatch.setattr(torch, "save", no_room)
    monkeypatch.setattr("attnzoo.workflows.state.write_json", read_only)
    done = ablate(tiny, spec.parse_arms("gate,none"), (0,), data, tmp_path, Setting("cpu"), timed=False)
    (failure,) = done.failures.values()
    assert failure.message == f"the disk is too full for `{tmp_path / 'gate' / 'seed-0' / 'last.ckpt'}`"
    assert failure.hint == "make room, and run the same command again"
    assert [result.attention for result in done.results] == ["none"]
    assert not list(tmp_path.rglob(".*.tmp"))
    assert state(tmp_path / "gate" / "seed-0").word == "interrupted"


def test_a_traceback_that_could_not_be_kept_is_not_promised(
    tiny: Recipe, data: Dataset, brittle: registry.Plugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attnzoo.workflows.state.write_json", read_only)
    recipe, arms = tiny.override({"training.batch_size": 2}), spec.parse_arms("none,brittle")
    done = ablate(recipe, arms, (0,), data, tmp_path / "out", Setting("cpu", plugins=(brittle,)), timed=False)
    (failure,) = done.failures.values()
    assert (failure.message, failure.hint) == ("RuntimeError: a cable broke", None)


def test_a_failed_arm_stops_no_other(tiny: Recipe, data: Dataset, brittle: registry.Plugin, tmp_path: Path) -> None:
    said: list[str] = []
    recipe = tiny.override({"training.batch_size": 2})
    arms, setting = spec.parse_arms("none,brittle,gate"), Setting("cpu", plugins=(brittle,), say=said.append)
    done = ablate(recipe, arms, (0,), data, tmp_path / "out", setting, timed=False)
    assert "[2/3] brittle, seed 0 failed: RuntimeError: a cable broke" in said
    assert list(done.failures) == ["brittle, seed 0"]
    assert [row[0] for row in done.table.rows] == ["none", "gate"]
    assert "brittle, seed 0 failed: RuntimeError: a cable broke" in done.table.notes
    assert done.compared is not None
    assert [arm.name for arm in done.compared.comparison.arms] == ["none", "gate"]
    now = state(tmp_path / "out" / "brittle" / "seed-0")
    assert (now.word, now.why) == ("failed", "RuntimeError: a cable broke")
    assert not done.costs
    with pytest.raises(AttnzooError) as error:
        ablate(recipe, arms[1:2], (0,), data, tmp_path / "out", setting, timed=False)
    assert error.value.message == "no arm has all its runs: RuntimeError: a cable broke"
    assert error.value.hint == f"the traceback is in `{tmp_path / 'out' / 'brittle' / 'seed-0'}`"


def test_jobs_give_the_same_bits_and_survive_a_failure(
    tiny: Recipe, data: Dataset, brittle: registry.Plugin, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Two processes; about ten seconds, for their imports."""
    recipe, arms = tiny.override({"training.batch_size": 2}), spec.parse_arms("none,brittle,gate")
    setting = Setting("cpu", plugins=(brittle,), progress=True, jobs=2)
    done = ablate(recipe, arms, (0,), data, tmp_path / "two", setting, timed=False)
    assert {run: failure.message for run, failure in done.failures.items()} == {
        "brittle, seed 0": "RuntimeError: a cable broke"
    }
    assert [result.attention for result in done.results] == ["none", "gate"]
    assert re.search(r"^gate, seed 0: epoch 1 of 1, ", capfd.readouterr().err, re.MULTILINE)
    alone = ablate(recipe, (arms[0], arms[2]), (0,), data, tmp_path / "one", Setting("cpu"), timed=False)
    assert (tmp_path / "one" / "scores.csv").read_bytes() == (tmp_path / "two" / "scores.csv").read_bytes()
    assert [one.identity for one in alone.results] == [one.identity for one in done.results]


@pytest.mark.slow
def test_a_process_that_dies_takes_its_run_alone(
    tiny: Recipe, data: Dataset, brittle: registry.Plugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LETHAL", "1")
    recipe, arms = tiny.override({"training.batch_size": 2}), spec.parse_arms("brittle,none,gate,se:reduction=2")
    done = ablate(recipe, arms, (0,), data, tmp_path, Setting("cpu", plugins=(brittle,), jobs=2), timed=False)
    assert [failure.message for failure in done.failures.values()] == ["its process ended with exit code 9"]
    now = state(tmp_path / "brittle" / "seed-0")
    assert (now.word, now.why) == ("failed", "its process ended with exit code 9")
    assert [result.attention for result in done.results] == ["none", "gate", "se:reduction=2"]


def words(drawn: Path, tiny: Recipe, folder: Path, *more: str) -> list[str]:
    """A command that trains long enough to be disturbed."""
    path = folder.parent / "long.toml"
    path.write_text(tiny.override({"training.epochs": 8, "training.batch_size": 2}).to_toml(), encoding="utf-8")
    command = [sys.executable, "-m", "attnzoo", "ablate", "--attention", "gate", "--recipe", str(path), "--no-time"]
    return [*command, "--data", str(drawn), "--device", "cpu", "--out", str(folder), *more]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_signal_ends_all_jobs(number: int, code: int, drawn: Path, tiny: Recipe, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    command = words(drawn, tiny, folder, "--seeds", "0,1", "--jobs", "2", "--epochs", "500")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while len(list(folder.glob("*/*/last.ckpt"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(number)
        assert process.wait(60) == code
    places = [path.parent for path in folder.glob("*/*/last.ckpt")]
    assert len(places) == 2
    deadline = time.monotonic() + 30
    while any(in_use(place) for place in places) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [state(place).word for place in places] == ["interrupted"] * 2


@pytest.mark.slow
def test_commands_share_a_folder(drawn: Path, tiny: Recipe, tmp_path: Path) -> None:
    """Two at once with overlapping seeds, and a third that finds all finished; as if one had done it."""
    shared, alone = tmp_path / "shared", tmp_path / "alone"
    first, second = (
        subprocess.Popen(words(drawn, tiny, shared, "--seeds", seeds), stderr=subprocess.PIPE, text=True)
        for seeds in ("0,1", "1,2")
    )
    told = [process.communicate(timeout=300)[1] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0)
    assert sum(text.count("gate, seed 1: epoch 8 of 8") for text in told) == 1
    whole = subprocess.run(words(drawn, tiny, shared, "--seeds", "0,1,2"), capture_output=True, text=True, check=True)
    assert whole.stderr.count("finished before") == 6
    assert "epoch" not in whole.stderr
    subprocess.run(words(drawn, tiny, alone, "--seeds", "0,1,2"), capture_output=True, check=True)
    assert (shared / "scores.csv").read_bytes() == (alone / "scores.csv").read_bytes()
