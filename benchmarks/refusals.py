"""Runs that would end well without having measured anything, or beside rivals for the same cores, are refused."""

from collections.abc import Callable, Mapping

from attnzoo.errors import AttnzooError


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
