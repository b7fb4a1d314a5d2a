"""Runs that would end well without having measured anything, or beside rivals for the same cores, are refused."""

from collections.abc import Callable, Mapping

from attnzoo.errors import AttnzooError


def check_clock(option: Callable[[str], object]) -> None:
    """Ask pytest's options whether pytest-benchmark, which times, is there and added its own.

    Raises:
        AttnzooError: It is switched off altogether, or not installed.
    """
    if option("benchmark_disable") is None:
        raise AttnzooError(
            "benchmarks without pytest-benchmark would measure nothing",
            'leave `-p no:benchmark` out; `pip install ".[test]"` installs it',
        )


def refuse(option: Callable[[str], object], environment: Mapping[str, str]) -> None:
    """Ask pytest's options and the environment.

    Raises:
        AttnzooError: Benchmarks are disabled or skipped, or xdist would run them side by side.
    """
    for name in ("disable", "skip"):
        if option(f"benchmark_{name}"):
            raise AttnzooError(
                f"`--benchmark-{name}` would pass without having measured anything",
                "leave it out, or leave `benchmarks` out",
            )
    if option("numprocesses") or option("dist") not in (None, "no") or "PYTEST_XDIST_WORKER" in environment:
        raise AttnzooError(
            "benchmarks that run side by side, as under xdist, time each other", "run them without `-n` and `--dist`"
        )
