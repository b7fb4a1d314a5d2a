"""The package `benchmarks` of the checkout, which draws ablations and which no wheel contains."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session", autouse=True)
def _benchmarks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        # last, so that an installed attnzoo stays the one under test
        patch.setattr(sys, "path", [*sys.path, str(ROOT)])
        yield
