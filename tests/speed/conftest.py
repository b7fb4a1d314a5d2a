"""The package `benchmarks` is what is tested here."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def _benchmarks(benchmarks_package: None) -> None:
    """For all tests of this room."""
