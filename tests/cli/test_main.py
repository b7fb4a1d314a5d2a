"""The command as a whole: help, messages, exit codes, and how fast it answers."""

import os
import resource
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest

from attnzoo import cli
from attnzoo.errors import AttnzooError

from .conftest import Attnzoo

COMMANDS = ("ablate", "train", "evaluate", "predict", "bench", "reproduce", "list", "show", "safety", "data")


def test_help_names_every_command(attnzoo: Attnzoo) -> None:
    done = attnzoo("--help")
    assert done.code == 0
    assert all(f"\n  {command} " in done.out for command in COMMANDS)
    assert attnzoo() == done


@pytest.mark.parametrize("command", [*COMMANDS, "data check", "data masks", "data draw"])
def test_every_command_explains_itself(command: str, attnzoo: Attnzoo) -> None:
    done = attnzoo(*command.split(), "--help")
    assert done.code == 0
    assert done.out.startswith(f"Usage: attnzoo {command} ")
    assert "Options:" in done.out


def test_version(attnzoo: Attnzoo) -> None:
    assert attnzoo("--version") == (0, f"{version('attnzoo')}\n", "")


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        ("ablat", "`attnzoo` has no command `ablat`", "did you mean `ablate`?"),
        ("data drew", "`attnzoo data` has no command `drew`", "did you mean `draw`?"),
        ("data xyz", "`attnzoo data` has no command `xyz`", "commands: `check`, `masks`, `draw`"),
        ("data", "missing command", "see `attnzoo data --help`"),
        ("ablate --sed 1", "`attnzoo ablate` has no option `--sed`", "did you mean `--seeds`?"),
        ("ablate -q", "`attnzoo ablate` has no option `-q`", "see `attnzoo ablate --help`"),
        ("ablate", "missing option `--attention`", "see `attnzoo ablate --help`"),
        ("show", "missing argument `NAME`", "see `attnzoo show --help`"),
        ("ablate --attention", "option `--attention` requires an argument", "see `attnzoo --help`"),
        ("show ema gate", "got unexpected extra argument(s) (gate)", "see `attnzoo show --help`"),
        (
            "ablate --attention ema --epochs many",
            "invalid value for `--epochs`: Input should be a valid integer, unable to parse string as an integer",
            "see `attnzoo ablate --help`",
        ),
    ],
)
def test_usage_errors_have_the_form_of_all_others(words: str, message: str, hint: str, attnzoo: Attnzoo) -> None:
    assert attnzoo(*words.split()) == (2, "", f"error: {message}\nhint: {hint}\n")


def test_an_error_without_a_hint_is_one_line(attnzoo: Attnzoo, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, what: str) -> Path:
        raise AttnzooError("`x` is impossible")

    monkeypatch.setattr("attnzoo.cli._options.existing", fail)
    assert attnzoo("data", "check", "x") == (2, "", "error: `x` is impossible\n")


def test_a_path_that_the_system_refuses_is_no_traceback(attnzoo: Attnzoo, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    done = attnzoo("data", "draw", blocked / "inside", "--patients", 3, "--slices", 5, "--size", 64)
    assert done.code == 2
    assert done.err.startswith("error: `")
    assert "Traceback" not in done.err


def test_an_interrupt_is_130_without_a_word(attnzoo: Attnzoo, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(path: Path, what: str) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr("attnzoo.cli._options.existing", interrupted)
    assert attnzoo("data", "check", "x") == (130, "", "")


@pytest.mark.parametrize(
    "command", [("train", "smoke"), ("ablate", "--attention", "se"), ("reproduce", "ema-attention-unet")]
)
@pytest.mark.parametrize("ending", [KeyboardInterrupt(), SystemExit(143)])
def test_what_trains_says_that_it_can_go_on(
    command: tuple[str, ...], ending: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*words: object) -> None:
        raise ending

    monkeypatch.setattr("attnzoo.cli._options.data_folder", interrupted)
    if isinstance(ending, SystemExit):
        with pytest.raises(SystemExit) as caught:
            cli.main([*command, "--data", "x"])
        assert caught.value.code == 143
    else:
        assert cli.main([*command, "--data", "x"]) == 130
    assert capsys.readouterr().err == "interrupted: the same command goes on from the last finished epoch\n"


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path, what: str) -> Path:
        raise ZeroDivisionError

    monkeypatch.setattr("attnzoo.cli._options.existing", broken)
    with pytest.raises(ZeroDivisionError):
        cli.main(["data", "check", "x"])


def test_a_reader_that_leaves_early_hears_no_complaint() -> None:
    words = [sys.executable, "-m", "attnzoo", "ablate", "--help"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate()
    assert (process.returncode, err) == (1, b"")


@pytest.mark.parametrize(
    "words",
    [
        "--help",
        "ablate --help",
        "data check --help",
        "ablat",
        "ablate --sed",
        "ablate --attention ema: --data .",
        "ablate --attention ema --recipe nope",
        "ablate --attention ema --data /nope",
        "ablate --attention ema --plugin /nope",
        "train nope",
        "evaluate /nope",
        "predict /nope x.png",
        "reproduce nope",
        "bench nope",
        "data check /nope",
    ],
)
def test_answers_that_need_no_block_take_half_a_second_without_torch(words: str) -> None:
    """CPU time, user and system, of the best of three."""
    code = f"import sys; from attnzoo.cli import main; main({words.split()!r}); print(sorted(sys.modules))"
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        if spent[-1] < 0.5:
            break
    assert min(spent) < 0.5
    modules = done.stdout.splitlines()[-1]
    assert not [heavy for heavy in ("torch", "numpy", "rich", "PIL", "lightning") if f"'{heavy}'" in modules]


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_training_ends_the_command(
    sent: signal.Signals, code: int, drawn: Path, tiny: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = ["train", str(tiny), "--data", str(drawn), "--epochs", "10000", "--device", "cpu", "--out", str(out)]
    process = subprocess.Popen([sys.executable, "-m", "attnzoo", *words], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (out / "last.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, sent)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in err
    assert err.endswith("interrupted: the same command goes on from the last finished epoch\n")
    assert not (out / "result.json").exists()
