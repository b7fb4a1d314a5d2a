"""The report as a table: one row for each benchmark, and below it what fails the gate."""

import sys
from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from .run import Report
from .verdict import Verdict


def table(report: Report, about: Mapping[str, Any]) -> None:
    """Print it on stdout."""
    drawn = Table(title=_title(about), box=box.SIMPLE_HEAD, title_justify="left")
    drawn.add_column("benchmark", no_wrap=True)
    for column in ("head / base", "interval", "rounds", "again", "interval"):
        drawn.add_column(column, justify="right", no_wrap=True)
    drawn.add_column("", overflow="fold")
    for row in report.rows:
        first, second = _cells(row.first), _cells(row.second)
        drawn.add_row(row.name, *first, *second[:2], row.word)
    # a pipe has no width, and a table that is cut is no data
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 200, highlight=False, markup=False)
    console.print(drawn)
    for failure in report.failures:
        console.print(f"FAILED: {failure}", soft_wrap=True)
    console.print(conclusion(report), soft_wrap=True)


def conclusion(report: Report) -> str:
    """The last line."""
    if report.failures:
        return f"The gate fails: {len(report.failures)} of what it asks is not so."
    timed = sum(row.first is not None for row in report.rows)
    new = len(report.rows) - timed  # what else is not timed fails
    beside = f" (new at head, and not compared: {new})" if new else ""
    if not report.complete:
        return f"None of these {timed} benchmarks is slower{beside}; a part of the list is no verdict on the whole."
    return f"The gate passes: none of {timed} benchmarks is slower by ten per cent{beside}, and none is missing."


def _title(about: Mapping[str, Any]) -> str:
    base, head, machine = about["base"], about["head"], about["machine"]
    now = head["commit"][:12] + (" with changes" if head["changed"] else "")
    where = machine.get("gpu") or machine.get("processor") or machine["device"]
    return f"head ({now}) against base ({base['revision']}, {base['commit'][:12]}) on {where}"


def _cells(found: Verdict | None) -> tuple[str, str, str]:
    if found is None:
        return "", "", ""
    return f"{found.ratio:.3f}", f"{found.low:.3f}-{found.high:.3f}", str(found.rounds)
