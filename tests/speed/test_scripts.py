"""What `cpu`, `gpu`, `tuning` and `twins` share: what they refuse, where they write, and what stands there."""

import json
import math
import os
import runpy
import sys
from argparse import Namespace
from pathlib import Path

import pytest
import torch


def ended(monkeypatch: pytest.MonkeyPatch, script: str, *options: str) -> object:
    """As `python -m` runs it, without another process."""
    monkeypatch.setattr(sys, "argv", [script, *options])
    monkeypatch.delattr(os, "execve")  # a script that is not refused would take pytest's place
    monkeypatch.delitem(sys.modules, f"benchmarks.{script}", raising=False)
    with pytest.raises(SystemExit) as done:
        runpy.run_module(f"benchmarks.{script}", run_name="__main__")
    return done.value.code


@pytest.mark.parametrize("script", ["gpu", "tuning", "twins"])
def test_without_a_gpu_it_says_so(
    script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert ended(monkeypatch, script, "--device", "cuda") == 2
    assert capsys.readouterr().err == (
        "error: `cuda` is not there: torch sees 0 CUDA devices\nhint: take `--device cpu`\n"
    )


def test_a_cpu_has_no_kernels_to_tune(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(monkeypatch, "tuning", "--device", "cpu") == 2
    assert capsys.readouterr().err == (
        "error: `cpu` runs none of Triton's kernels\nhint: take a GPU, or set TRITON_INTERPRET=1 and `--quick`\n"
    )


@pytest.mark.parametrize("script", ["cpu", "gpu", "tuning", "twins"])
@pytest.mark.parametrize("word", ["sE", "UNet:nope"])
def test_a_row_that_is_not_there_is_refused(
    script: str, word: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(monkeypatch, script, "--quick", "--only", word) == 2
    assert f"argument --only: invalid choice: '{word}'" in capsys.readouterr().err


def test_a_part_and_a_quick_run_do_not_replace_the_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from benchmarks import scripts

    def name(*, quick: bool = False, only: list[str] | None = None) -> str:
        file = scripts.json_file("twins", "x86_64", Namespace(out=None, quick=quick, only=only))
        assert file.parent == tmp_path
        return file.name

    monkeypatch.setenv("OUT", str(tmp_path))
    monkeypatch.setattr(scripts.time, "strftime", lambda form: "2026-11-26")
    assert name() == "twins-x86-64-2026-11-26.json"
    assert name(quick=True) == "twins-x86-64-2026-11-26-quick.json"
    assert name(only=["gate", "UNet:gate"]) == "twins-x86-64-2026-11-26-gate-unet-gate.json"
    assert name(quick=True, only=["se"]) == "twins-x86-64-2026-11-26-quick-se.json"


@pytest.mark.parametrize("commit", ["1234abcd-dirty", None])  # a bare machine has no git
def test_the_commit_is_recorded(commit: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from benchmarks.on_gpu import session

    monkeypatch.setattr(session, "environment", lambda: {"commit": commit})
    session.Session(torch.device("cpu"), True, tmp_path / "cpu.json", math.inf).write()
    assert json.loads((tmp_path / "cpu.json").read_text())["commit"] == commit
