"""The list of benchmarks is complete, and what would measure nothing is refused."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from attnzoo import losses, registry
from attnzoo.errors import AttnzooError

ROOT = Path(__file__).parents[2]


def ran(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False)


def test_everything_registered_is_in_the_list() -> None:
    from benchmarks import cases
    from benchmarks.cases import hosts

    names = cases.names()
    assert len(names) == len(set(names))
    for block in registry.available():
        assert {f"block/{block}/forward", f"block/{block}/forward+backward"} <= set(names)
    assert {f"loss/{name}" for name in losses.TERMS} <= set(names)
    assert {f"host/{name}/forward" for name in (*hosts.HOSTS, hosts.FURNISHED)} <= set(names)
    assert {"metric/confusion_per_image", "metric/summary", "loader/masks/cached", "loader/train/epoch"} <= set(names)


@pytest.mark.slow
def test_pytest_collects_exactly_the_list() -> None:
    listed = json.loads(ran("-m", "benchmarks.gate", "--list").stdout)
    collected = ran("-m", "pytest", "benchmarks", "--collect-only", "-q", "-p", "no:cacheprovider").stdout
    names = [line.partition("[")[2].removesuffix("]") for line in collected.splitlines() if "::" in line]
    assert names == listed


@pytest.mark.slow
def test_every_case_can_be_built() -> None:
    import torch

    from benchmarks import cases

    for name in cases.names():
        cases.build(name, torch.device("cpu")).call()


def test_a_case_that_cannot_be_built_is_no_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import cases, conftest

    def refuses(name: str, device: object) -> None:
        raise AttnzooError(f"`{name}` cannot be built")

    monkeypatch.setattr(cases, "build", refuses)
    with pytest.raises((AttnzooError, pytest.skip.Exception)) as raised:
        conftest.timed.__wrapped__(None)("block/se/forward")
    assert raised.type is AttnzooError


@pytest.mark.parametrize(
    "name", ["block/gate/forward+backward", "block/timm_ge/forward", "loader/masks/cached", "loader/train/epoch"]
)
def test_a_case_can_be_called(name: str) -> None:
    import torch

    from benchmarks import cases

    case = cases.build(name, torch.device("cpu"))
    case.call()
    assert case.items == (20 if name.startswith("loader") else None)


@pytest.mark.parametrize("word", ["disable", "skip"])
def test_a_run_that_measures_nothing_is_refused(word: str) -> None:
    from benchmarks.refusals import refuse

    with pytest.raises(AttnzooError) as refused:
        refuse({f"benchmark_{word}": True}.get, {})
    assert refused.value.message == f"`--benchmark-{word}` would pass without having measured anything"
    assert refused.value.hint == "leave it out, or leave `benchmarks` out"


def test_a_run_without_a_clock_is_refused() -> None:
    from benchmarks.refusals import check_clock

    check_clock({"benchmark_disable": False}.get)
    with pytest.raises(AttnzooError) as refused:
        check_clock({}.get)
    assert refused.value.message == "benchmarks without pytest-benchmark would measure nothing"
    assert refused.value.hint == 'leave `-p no:benchmark` out; `pip install ".[test]"` installs it'


@pytest.mark.slow
@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("--benchmark-disable", "`--benchmark-disable` would pass without having measured anything"),
        ("--benchmark-skip", "`--benchmark-skip` would pass without having measured anything"),
        ("-pno:benchmark", "benchmarks without pytest-benchmark would measure nothing"),
    ],
)
def test_pytest_itself_refuses(word: str, told: str) -> None:
    run = ran("-m", "pytest", "benchmarks", word, "-p", "no:cacheprovider")
    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    assert run.stderr.startswith(f"ERROR: {told}\nhint: leave ")


@pytest.mark.parametrize(
    ("options", "environment"),
    [({"numprocesses": 2}, {}), ({"dist": "load"}, {}), ({}, {"PYTEST_XDIST_WORKER": "gw0"})],
)
def test_xdist_is_refused(options: dict[str, object], environment: dict[str, str]) -> None:
    from benchmarks.refusals import refuse

    with pytest.raises(AttnzooError) as refused:
        refuse(options.get, environment)
    assert refused.value.message == "benchmarks that run side by side, as under xdist, time each other"
    assert refused.value.hint == "run them without `-n` and `--dist`"


def test_pytest_benchmarks_is_not_refused_for_the_tests_own_workers() -> None:
    """`-n auto` stands in pyproject.toml, for `tests`; here it means none."""
    import xdist.newhooks

    from benchmarks import conftest

    manager = pytest.PytestPluginManager()
    manager.add_hookspecs(xdist.newhooks)
    manager.register(conftest)
    assert manager.hook.pytest_xdist_auto_num_workers(config=None) == 0


@pytest.mark.parametrize("folder", ["benchmarks", "tests"])
def test_a_plugin_can_be_left_out(folder: str) -> None:
    """`-p no:benchmark` and `-p no:xdist` take hooks away; this manager has pytest's own alone."""
    spec = importlib.util.spec_from_file_location(f"{folder}.conftest", ROOT / folder / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    manager = pytest.PytestPluginManager()
    manager.register(module)
    manager.check_pending()


def test_a_plain_run_is_not_refused() -> None:
    from benchmarks.refusals import refuse

    refuse({"dist": "no", "benchmark_disable": False}.get, {})
