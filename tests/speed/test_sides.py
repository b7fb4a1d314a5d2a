"""Real processes, real worktrees: what they say when something is wrong, and a short run from end to end."""

import json
import os
import shutil
import subprocess
import sys
from argparse import Namespace
from contextlib import closing
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


# the least that a worker asks of a tree; torch's stand-in spares its import
DRAWN = {
    "attnzoo/__init__.py": "",
    "attnzoo/losses.py": "TERMS = ()",
    "attnzoo/measure/machine.py": """
from types import SimpleNamespace

def resolve(device): return SimpleNamespace(type="cpu")
def describe(device): return {}
""",
    "attnzoo/recipe.py": "class Model: host: tuple[()]",
    "attnzoo/registry.py": "def available(): return []",
    "benchmarks/__init__.py": "",
    "benchmarks/cases/__init__.py": """
import time
from types import SimpleNamespace

CALLS = {"sleep": lambda: time.sleep(0.001)}

def names(): return list(CALLS)
def build(name, device): return SimpleNamespace(call=CALLS[name])
""",
    "torch.py": "class cuda: synchronize = None",
}
CASES = "benchmarks/cases/__init__.py"


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """A tree that is committed, with one benchmark."""
    tree = tmp_path / "drawn"
    for name, content in DRAWN.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(content)
    git(tree, "init", "-q")
    git(tree, "add", "-A")
    git(tree, "commit", "-q", "-m", "base")
    return tree


def add(tree: Path, name: str, code: str) -> None:
    """Lines at the end of a file of the tree."""
    (tree / name).write_text(DRAWN[name] + code)


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
        "the head cannot start: its process ended with exit code 1, and said: no memory",
        None,
    )


def test_a_side_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert refused(side, monkeypatch, tmp_path, "import time; time.sleep(60)", patience=0.2) == (
        "the head cannot start: its process said nothing for 0.2 seconds",
        None,
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


def test_a_side_is_spared_the_callers_switches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ATTNZOO_KERNELS", "readable")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    worker = """import json, os; input()
heard = [os.environ.get("ATTNZOO_KERNELS"), os.environ.get("TRITON_INTERPRET")]
print(json.dumps({"home": os.path.dirname(__file__), "names": heard, "required": []}), flush=True); input()"""
    with closing(side(monkeypatch, tmp_path, worker)) as told:
        assert told.names == ["auto", None]


def test_a_side_keeps_freed_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without these, two equal processes differed by half."""
    kept = {"MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "4294967296", "MALLOC_ARENA_MAX": "1"}
    for name in kept:
        monkeypatch.delenv(name, raising=False)
    worker = f"""import json, os; input()
heard = [os.environ.get(name) for name in {[*kept]}]
print(json.dumps({{"home": os.path.dirname(__file__), "names": heard, "required": []}}), flush=True); input()"""
    with closing(side(monkeypatch, tmp_path, worker)) as told:
        assert told.names == [*kept.values()]


def test_a_side_says_what_must_be_measured(drawn: Path, tmp_path: Path) -> None:
    from benchmarks.gate.side import Side

    add(drawn, "attnzoo/registry.py", "\ndef available(): return ['se']")
    add(drawn, "attnzoo/losses.py", "\nTERMS = ('dice',)")
    add(drawn, "attnzoo/recipe.py", "\nfrom typing import Literal\nclass Model: host: Literal['unet', 'smp']")
    with closing(Side("head", drawn, drawn, tmp_path / "scratch")) as head:
        assert head.required == [
            "block/se/forward", "block/se/forward+backward", "host/unet/forward", "host/smp/forward", "loss/dice"
        ]  # fmt: skip


def test_waiting_for_a_core_is_taken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    from benchmarks.gate import worker

    one = worker.Worker.__new__(worker.Worker)  # without a tree
    one.call, one.device = lambda: None, SimpleNamespace(type="cpu")
    # the first sample takes 30 ms, of which it waits for 10; of the second the kernel says that it waited throughout
    monkeypatch.setattr(worker, "perf_counter_ns", iter([0, 30_000_000, 40_000_000, 50_000_000]).__next__)
    one.waited = iter([5_000_000, 15_000_000, 15_000_000, 26_000_000]).__next__
    first, second = one.time(2, 2)["seconds"]
    assert first == pytest.approx(0.01)
    assert 0 < second < 1e-8


def test_the_clock_is_not_the_trees(drawn: Path, tmp_path: Path) -> None:
    from benchmarks.gate.side import Side

    patched = "import gc, os, time; time.perf_counter_ns = lambda: 0; gc.collect = gc.disable = os.pread = None"
    add(drawn, "attnzoo/__init__.py", patched)
    with closing(Side("head", drawn, drawn, tmp_path / "scratch")) as head:
        seconds, error = head.build("sleep")
    assert error is None
    assert seconds > 1e-4


def test_what_fails_after_its_warming_up_leaves_the_side_alive(drawn: Path, tmp_path: Path) -> None:
    from benchmarks.gate.run import UnfinishedError
    from benchmarks.gate.side import Side

    add(drawn, CASES, "calls = iter(range(10))\nCALLS['tired'] = lambda: 1 / (9 - next(calls))")
    with closing(Side("head", drawn, drawn, tmp_path / "scratch")) as head:
        assert head.build("tired")[1] is None
        with pytest.raises(UnfinishedError, match="at head: division by zero"):
            head.time(5, 1)
        assert head.build("sleep")[1] is None
        assert len(head.time(5, 1)) == 5


@pytest.mark.parametrize(
    ("death", "told"),
    [
        ("os._exit(3)", "its process ended with exit code 3"),
        ("sys.exit('no memory')", "its process ended with exit code 1, and said: no memory"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "its process ended by signal 9 (Killed)"),
        ("time.sleep(60)", "its process said nothing for 2 seconds"),
    ],
)
def test_a_benchmark_that_takes_its_side_along(drawn: Path, tmp_path: Path, death: str, told: str) -> None:
    from benchmarks.gate.run import UnfinishedError
    from benchmarks.gate.side import Side

    planted = f"""
import os, signal, sys
calls = iter(range(10))
CALLS["early"] = lambda: {death}
CALLS["late"] = lambda: next(calls) < 8 or {death}
print("talk before is of no benchmark", file=sys.stderr)"""
    add(drawn, CASES, planted)
    with closing(Side("head", drawn, drawn, tmp_path / "scratch")) as head:
        head.patience = 2.0
        assert head.build("late")[1] is None
        assert not head.gone
        with pytest.raises(UnfinishedError) as unfinished:
            head.time(5, 1)
        assert (str(unfinished.value), head.gone) == (f"at head: {told}", True)
    with closing(Side("head", drawn, drawn, tmp_path / "scratch")) as head:
        head.patience = 2.0
        assert (head.build("early"), head.gone) == ((0.0, told), True)


def test_a_benchmark_that_dies_fails_by_name_and_the_others_are_timed(
    drawn: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from benchmarks.gate.__main__ import main

    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    add(drawn, CASES, "import attnzoo\nCALLS = {'dies': lambda: attnzoo.live(), **CALLS}")
    add(drawn, "attnzoo/__init__.py", "def live(): pass")
    git(drawn, "commit", "-q", "-a", "-m", "it lives")
    add(drawn, "attnzoo/__init__.py", "import os\nlives = [0] * 8\ndef live(): lives.pop() if lives else os._exit(3)")
    written = tmp_path / "gate.json"
    assert main(["--against", "HEAD", "--json", str(written)], root=drawn) == 1
    printed, said = capsys.readouterr()
    assert "FAILED: `dies` could not be timed to the end at head: its process ended with exit code 3\n" in printed
    assert printed.endswith("The gate fails: 1 of what it asks is not so.\n")
    assert [(row["name"], row["first"] is None) for row in json.loads(written.read_text())["rows"]] == [
        ("dies", True),
        ("sleep", False),
    ]
    assert "2 of 2: sleep" in said


def test_a_definition_that_raises_on_both_sides_fails(
    drawn: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks.gate.__main__ import main

    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    add(drawn, CASES, "def build(name, device): raise RuntimeError('not today')")
    assert main(["--against", "HEAD"], root=drawn) == 1
    printed = capsys.readouterr().out
    assert "FAILED: `sleep` cannot be timed on either side: not today\n" in printed
    assert printed.endswith("The gate fails: 1 of what it asks is not so.\n")


def test_only_what_is_new_can_be_asked_for(
    drawn: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks.gate.__main__ import main

    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    add(drawn, "attnzoo/__init__.py", "fresh = abs")
    add(drawn, CASES, "import attnzoo\nCALLS['fresh'] = lambda: attnzoo.fresh(1)")
    assert main(["--against", "HEAD", "--only", "fresh"], root=drawn) == 0
    assert capsys.readouterr().out.endswith(
        "None of these 0 benchmarks is slower (new at head, and not compared: 1); "
        "a part of the list is no verdict on the whole.\n"
    )
    assert main(["--against", "HEAD", "--only", "no/such"], root=drawn) == 2
    assert capsys.readouterr().err.endswith("error: no benchmark has `no/such` in its name\nhint: see `--list`\n")


def test_a_hooks_index_is_left_alone(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.gate import tree

    elsewhere = tmp_path / "elsewhere"
    git(tmp_path, "init", "-q", str(elsewhere))
    add(drawn, CASES, "# staged")
    git(drawn, "add", "-A")
    with monkeypatch.context() as hook:
        hook.setenv("GIT_INDEX_FILE", str(drawn / ".git" / "index"))
        hook.setenv("GIT_DIR", str(elsewhere / ".git"))
        revision = tree.commit(drawn, "HEAD")
        hook.setenv("GIT_DIR", str(drawn / ".git"))
        with tree.checked_out(drawn, revision, tmp_path / "base"):
            pass
    assert revision == git(drawn, "rev-parse", "HEAD").strip()
    assert git(drawn, "diff", "--cached", "--name-only") == f"{CASES}\n"


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
