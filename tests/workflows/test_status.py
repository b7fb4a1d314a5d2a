"""How far runs are, from their folders alone."""

import json
import os
from pathlib import Path

import pytest

from attnzoo import report
from attnzoo.cli import main
from attnzoo.errors import AttnzooError
from attnzoo.workflows.state import note_failure
from attnzoo.workflows.status import record, status, table

from .folders import ablation, begun, finished, place

RUNS = (("none", 0), ("ema", 0), ("none", 1), ("ema", 1))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One run finished, one interrupted, one failed, one left."""
    ablation(tmp_path, *RUNS, lacking=RUNS[1:])
    begun(tmp_path / place("ema", 0), "ema", 0, epochs=4)
    begun(tmp_path / place("none", 1), "none", 1, epochs=1)
    note_failure(tmp_path / place("none", 1), "`train_loss` is `nan` in epoch 2")
    return tmp_path


def test_each_run_has_a_word(folder: Path) -> None:
    now = status(folder)
    assert [row.state.word for row in now.rows] == ["finished", "interrupted", "failed", "left"]
    assert (now.rows[1].state.epoch, now.rows[1].state.epochs) == (4, 10)


def test_what_is_left_takes_as_long_as_what_was_done(folder: Path) -> None:
    """Two seconds an epoch: six of the interrupted run and ten of the last; a failed one is not tried again."""
    now = status(folder)
    assert now.seconds == pytest.approx(32)
    assert now.how == "from 2 s an epoch so far, 1 run at a time"


def test_the_table_says_all_of_it(folder: Path) -> None:
    lines = report.text(table(status(folder))).splitlines()
    assert lines[2:7] == [
        "attention  seed 0                  seed 1",
        "─────────  ──────                  ──────",
        "none       finished                failed",
        "ema        interrupted at 4 of 10  left",
        "4 runs: 1 finished, 1 interrupted, 1 failed, 1 left",
    ]
    assert lines[7:] == [
        "none, seed 1 failed: `train_loss` is `nan` in epoch 2",
        "nothing runs now; the same command goes on, and would take about 32 s "
        "(from 2 s an epoch so far, 1 run at a time)",
    ]


def test_a_running_run_tells_its_own_pace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ablation(tmp_path, *RUNS, lacking=RUNS)
    runs = [tmp_path / place(*run) for run in RUNS[:2]]
    for run, (arm, seed) in zip(runs, RUNS, strict=False):
        begun(run, arm, seed, epochs=4)
        os.utime(run / "run.json", (1000, 1000))
        os.utime(run / "curves.csv", (1012, 1012))
    monkeypatch.setattr("attnzoo.workflows.state.in_use", lambda folder: folder in runs)
    now = status(tmp_path)
    assert now.count("running") == 2
    assert now.seconds == pytest.approx((6 + 6 + 10 + 10) * 3 / 2)
    assert now.how == "from 3 s an epoch so far, 2 runs at a time"
    (end,) = (note for note in table(now).notes if note.startswith("expected end "))
    assert end.endswith("in about 48 s (from 3 s an epoch so far, 2 runs at a time)")


def test_a_run_that_goes_on_has_the_pace_of_this_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier process did took none of this one's time; and a clock that was set back tells nothing."""
    begun(tmp_path, "ema", epochs=6)
    (tmp_path / ".lock").write_text("process 1 on here\n4\n")
    monkeypatch.setattr("attnzoo.workflows.state.in_use", lambda folder: True)
    for latest, pace in ((1006, "3 s"), (1000, None), (900, None)):
        os.utime(tmp_path / "run.json", (1000, 1000))
        os.utime(tmp_path / "curves.csv", (latest, latest))
        now = status(tmp_path)
        assert now.rows[0].state.epoch == 6
        assert now.how.startswith(f"from {pace} an epoch so far") if pace else now.seconds is None
    (tmp_path / ".lock").write_text("process 1 on here\n6\n")
    assert status(tmp_path).seconds is None


def test_nothing_is_guessed_from_nothing(tmp_path: Path) -> None:
    now = status(ablation(tmp_path, *RUNS, lacking=RUNS))
    assert now.seconds is None
    assert table(now).notes[-1] == (
        "nothing runs now; the same command goes on, and how long it would take is unknown: no epoch has been timed yet"
    )


def test_an_end_that_cannot_be_told_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(tmp_path, "ema")
    monkeypatch.setattr("attnzoo.workflows.state.in_use", lambda folder: True)
    assert table(status(tmp_path)).notes[-1] == ("no end can be told: no epoch has been timed yet")


def test_single_runs_have_a_row_each(tmp_path: Path) -> None:
    for name in ("quick", "long", "deep/er"):
        begun(tmp_path / "t" / name, "ema", epochs=2)
    finished(tmp_path / "t" / "model" / "seed-0")
    begun(tmp_path / "t" / "model" / "seed-1", seed=1, epochs=1)
    now = status(tmp_path / "t")
    assert [(row.arm, row.seed, row.state.word) for row in now.rows] == [
        ("deep/er", 0, "interrupted"),
        ("long", 0, "interrupted"),
        ("model", 0, "finished"),
        ("model", 1, "interrupted"),
        ("quick", 0, "interrupted"),
    ]
    assert [row[0] for row in table(now).rows] == ["deep/er", "long", "model", "quick"]


def test_a_finished_one_has_no_end(tmp_path: Path) -> None:
    assert table(status(ablation(tmp_path, *RUNS))).notes == ("4 runs: 4 finished",)


def test_a_reproduction_and_a_single_run(tmp_path: Path) -> None:
    finished(tmp_path / "model-1" / "seed-0")
    begun(tmp_path / "model-2" / "seed-0", "ema", epochs=2)
    assert [(row.arm, row.state.word) for row in status(tmp_path).rows] == [
        ("model-1", "finished"),
        ("model-2", "interrupted"),
    ]
    assert [(row.arm, row.state.epoch) for row in status(tmp_path / "model-2" / "seed-0").rows] == [("ema", 2)]


def test_its_record_is_json(folder: Path) -> None:
    told = json.loads(json.dumps(record(status(folder)), allow_nan=False))
    assert told["seconds_left"] == 32
    assert told["runs"][1] == {"arm": "ema", "seed": 0, "state": "interrupted", "epoch": 4, "epochs": 10}
    assert told["runs"][2]["why"] == "`train_loss` is `nan` in epoch 2"


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(AttnzooError) as error:
        status(tmp_path)
    assert error.value.message == f"`{tmp_path}` holds neither an ablation nor a run"
    assert error.value.hint == "name a folder that `attnzoo ablate` or `train` writes to"


def test_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(folder)]) == 0
    assert capsys.readouterr().out == report.text(table(status(folder)))
    assert main(["status", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == record(status(folder))
    assert main(["status", str(folder / "nowhere")]) == 2
    assert capsys.readouterr().err == f"error: there is no folder `{folder / 'nowhere'}`\nhint: check the path\n"
    assert main(["status", str(folder / "ablation.json")]) == 2
    assert capsys.readouterr().err == (
        f"error: `{folder / 'ablation.json'}` is a file\n"
        "hint: name a folder that `attnzoo ablate` or `train` writes to\n"
    )


def test_watching_ends_when_nothing_is_left(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wait(seconds: float) -> None:
        assert seconds == 5
        for run in RUNS[1:]:
            finished(folder / place(*run), *run)

    monkeypatch.setattr("attnzoo.cli.status.time.sleep", wait)
    assert main(["status", str(folder), "--watch", "5", "--json"]) == 0
    first, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert [run["state"] for run in first["runs"]] == ["finished", "interrupted", "failed", "left"]
    assert {run["state"] for run in last["runs"]} == {"finished"}
