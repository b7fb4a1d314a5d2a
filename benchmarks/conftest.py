"""What the suites share: the device, and how a call is timed."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from common import Timed

from attnzoo import registry
from attnzoo.measure.machine import describe, resolve


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "block" in metafunc.fixturenames:
        metafunc.parametrize("block", registry.available())


@pytest.fixture(scope="session")
def device() -> torch.device:
    """The GPU if there is one."""
    return resolve("auto")


@pytest.fixture
def timed(benchmark: Any, device: torch.device) -> Timed:
    """Time a call: warmed up, and on the GPU until its work is done and not only handed over."""

    def run(call: Callable[[], object]) -> None:
        def finished() -> None:
            call()
            if device.type == "cuda":
                torch.cuda.synchronize(device)

        benchmark.extra_info["device"] = str(device)
        benchmark.pedantic(finished, rounds=15, warmup_rounds=3)

    return run


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    machine_info["attnzoo"] = describe(resolve("auto"))
