"""What the suites share: the device, and how a case is timed."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from attnzoo.errors import AttnzooError
from attnzoo.measure.machine import describe, resolve

from . import cases
from .refusals import check_clock, refuse

Timed = Callable[[str], None]


@pytest.hookimpl(optionalhook=True)  # xdist's, which may be left out
def pytest_xdist_auto_num_workers() -> int:
    """None beside this one, whatever `pytest` does with the tests."""
    return 0


def pytest_configure(config: pytest.Config) -> None:
    def option(name: str) -> object:
        return config.getoption(name, None)

    try:
        check_clock(option)
        refuse(option, os.environ)
    except AttnzooError as error:
        raise pytest.UsageError(str(error)) from error


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The drawing and its masks lie in a folder of this run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATTNZOO_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def timed(benchmark: Any) -> Timed:
    """Time a case: warmed up, and on the GPU until its work is done and not only handed over."""

    def run(name: str) -> None:
        device = resolve("auto")
        case = cases.build(name, device)

        def finished() -> None:
            case.call()
            if device.type == "cuda":
                torch.cuda.synchronize(device)

        benchmark.extra_info["device"] = str(device)
        benchmark.pedantic(finished, rounds=15, warmup_rounds=3)
        if case.items is not None:
            benchmark.extra_info |= {"items": case.items, "items_per_second": case.items / benchmark.stats.stats.median}

    return run


@pytest.hookimpl(optionalhook=True)  # likewise
def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    machine_info["attnzoo"] = describe(resolve("auto"))
