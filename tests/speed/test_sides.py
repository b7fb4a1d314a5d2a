"""Real processes, real worktrees: what they say when something is wrong, and a short run from end to end."""

import json
import os
import shutil
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from attnzoo.errors import AttnzooError

ROOT = Path(__file__).parents[2]
PLANTED = """

def _slowed(function):
    import time

    def slow(*given, **named):
        start = time.perf_counter()
        found = function(*given, **named)
        until = time.perf_counter() + 0.2 * (time.perf_counter() - start)
        while time.perf_counter() < until:
            pass
        return found

    return slow


per_class = _slowed(per_class)
"""


def refused(call, *given, **named) -> tuple[str, str | None]:
    with pytest.raises(AttnzooError) as caught:
        call(*given, **named)
    return caught.value.message, caught.value.hint


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@t"]
    return subprocess.run(["git", "-C", folder, *identity, *words], capture_output=True, text=True, check=True).stdout


def side(monkeypatch: pytest.MonkeyPatch, folder: Path, worker: str, word: str = "head", patience: float = 60.0):
    """A side whose worker is the script that is given."""
    from benchmarks.gate import side as module

    script = folder / "worker.py"
    script.write_text(worker)
    monkeypatch.setattr(module, "WORKER", script)
    return module.Side(word, folder, folder, folder / "scratch", patience=patience)


def test_a_side_that_dies_says_its_last_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    dies = "import sys; print('first', file=sys.stderr); sys.exit('no memory')"
    assert refused(side, monkeypatch, tmp_path, dies) == (
        "the head's process ended while starting",
        "it said: no memory",
    )


def test_a_side_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert refused(side, monkeypatch, tmp_path, "import time; time.sleep(60)", patience=0.2) == (
        "the head said nothing for 0.2 seconds while starting",
        "see what hangs there",
    )


@pytest.mark.parametrize(
    ("word", "hint"),
    [("base", "a base too old for head's benchmarks cannot be compared: take a later one"), ("head", None)],
)
def test_a_side_that_cannot_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, word: str, hint: str | None) -> None:
    worker = """print('{"failed": "no such name"}')"""
    assert refused(side, monkeypatch, tmp_path, worker, word) == (f"the {word} cannot start: no such name", hint)


def test_a_side_with_another_trees_attnzoo_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    worker = """input(); print('{"home": "/elsewhere", "names": [], "required": []}', flush=True); input()"""
    assert refused(side, monkeypatch, tmp_path, worker) == (
        f"the head imported attnzoo from `/elsewhere`, not from `{tmp_path}`",
        "uninstall what stands in the way, or unset PYTHONPATH",
    )


def test_what_git_does_not_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.gate import tree

    assert refused(tree.commit, tmp_path, "HEAD") == (
        f"`{tmp_path}` is no git checkout, so there is no revision to compare with",
        "clone attnzoo",
    )
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "x")
    assert refused(tree.commit, tmp_path, "nowhere") == (
        f"`nowhere` is no revision of `{tmp_path}`",
        "a shallow clone has few of them: `git fetch --unshallow`",
    )
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "file").touch()
    message, hint = refused(lambda: tree.checked_out(tmp_path, "HEAD", taken).__enter__())
    assert message == f"`HEAD` cannot be checked out: fatal: '{taken}' already exists"
    assert hint == "`git worktree prune` forgets worktrees that are gone"
    with tree.checked_out(tmp_path, "HEAD", tmp_path / "base"):
        assert "base" in git(tmp_path, "worktree", "list")
    assert "base" not in git(tmp_path, "worktree", "list")
    monkeypatch.setenv("PATH", "")
    assert refused(tree.commit, tmp_path, "HEAD") == (
        "`git` is not installed, and base is checked out by it",
        "install git",
    )


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        (
            {"json": Path("/no/such/x.json")},
            "`/no/such/x.json` cannot be written: its folder is not there",
            "make the folder first",
        ),
        ({"threads": 0}, "`--threads 0` cannot be: a side needs one or more", "leave it out"),
    ],
)
def test_what_is_asked_wrongly(given: dict[str, object], message: str, hint: str) -> None:
    from benchmarks.gate.__main__ import measured

    asked = Namespace(**{"against": "HEAD", "json": None, "threads": 1, "only": None, "device": "cpu"} | given)
    assert refused(measured, ROOT, asked) == (message, hint)


def test_an_error_is_two_lines_and_exit_code_two(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from benchmarks.gate.__main__ import main

    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    assert main(["--against", "HEAD"], root=tmp_path) == 2
    assert capsys.readouterr().err == (
        f"error: `{tmp_path}` is no git checkout, so there is no revision to compare with\nhint: clone attnzoo\n"
    )
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    assert main(["--against", "HEAD"], root=tmp_path) == 2
    assert capsys.readouterr().err.startswith("error: benchmarks that run side by side, as under xdist, time")


@pytest.mark.slow
def test_from_end_to_end(tmp_path: Path) -> None:
    """Equal trees pass, a planted fifth fails, a name that is gone fails; no worktree is left."""
    for name in ("attnzoo", "benchmarks", "recipes"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "base")

    def gate(only: str) -> subprocess.CompletedProcess[str]:
        words = ["-m", "benchmarks.gate", "--against", "HEAD", "--only", only, "--device", "cpu", "--json", "gate.json"]
        environment = {key: value for key, value in os.environ.items() if key != "PYTEST_XDIST_WORKER"}
        return subprocess.run(
            [sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, check=False, env=environment
        )

    equal = gate("metric/per_class")
    assert equal.returncode == 0, equal.stdout + equal.stderr
    written = json.loads((tmp_path / "gate.json").read_text())
    assert written["passed"]
    assert not written["complete"]
    assert written["machine"]["device"] == "cpu"
    source = tmp_path / "attnzoo" / "metrics" / "overlap.py"
    source.write_text(source.read_text() + PLANTED)
    slowed = gate("metric/per_class")
    assert slowed.returncode == 1, slowed.stdout + slowed.stderr
    assert "FAILED: `metric/per_class` is slower than at base: 1." in slowed.stdout
    listed = tmp_path / "benchmarks" / "cases" / "metrics.py"
    listed.write_text(listed.read_text().replace('"summary":', '"overview":'))
    renamed = gate("metric/macro")
    assert renamed.returncode == 1, renamed.stdout + renamed.stderr
    assert "`metric/summary` is in base's list and not in head's: it is missing or renamed" in renamed.stdout
    assert gate("no/such").stderr.endswith("error: no benchmark has `no/such` in its name\nhint: see `--list`\n")
    assert len(git(tmp_path, "worktree", "list").splitlines()) == 1
