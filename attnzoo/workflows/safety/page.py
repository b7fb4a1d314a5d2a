"""The matrix as JSON, for a terminal, and as a page."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from attnzoo import registry, report, spec
from attnzoo.workflows.safety import COLUMNS, Row
from attnzoo.workflows.safety.cell import Cell

SIGNS = {"yes": "✓", "no": "✗"}
VERSIONS = ("torch", "timm")


def to_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """A record for each block: its spelling, and a record for each cell."""
    return [{"block": row.block, "cells": {name: vars(cell) for name, cell in row.cells.items()}} for row in rows]


def from_json(records: Sequence[Mapping[str, Any]]) -> tuple[Row, ...]:
    """The rows that `to_json` wrote."""
    return tuple(
        Row(record["block"], {name: Cell(**cell) for name, cell in record["cells"].items()}) for record in records
    )


def table(rows: Sequence[Row]) -> report.Table:
    """The matrix, with ✓ and ✗; below it why a cell is ✗."""
    columns = list(rows[0].cells)
    lines = tuple((row.block, *(SIGNS.get(value := row.cells[name].value, value) for name in columns)) for row in rows)
    header = ("block", *(COLUMNS[name].title for name in columns))
    return report.Table(header, lines, notes=tuple(_doubts(rows)), align="l" + "c" * len(columns))


def markdown(rows: Sequence[Row], environment: Mapping[str, Any]) -> str:
    """The page: the papers, the matrix, what its columns ask, and why a cell is ✗."""
    made = ", ".join(f"{name} {environment['versions'][name]}" for name in VERSIONS)
    meanings = "".join(f"- **{COLUMNS[name].title}**: {COLUMNS[name].meaning}.\n" for name in rows[0].cells)
    return (
        "# The blocks, and what they withstand\n\n"
        "Made by `attnzoo safety --out docs`, not by hand: every cell was tried, with every parameter moved off its\n"
        f"start ({made}). `attnzoo show BLOCK` has a block's mechanism, options and deviations.\n\n"
        f"## Papers\n\n{report.markdown(_papers(rows))}\n"
        f"## What the columns ask\n\n{meanings}\n"
        f"## Safety\n\n{report.markdown(table(rows))}"
    )


def _doubts(rows: Sequence[Row]) -> list[str]:
    """Why a cell is no, once for all the columns of a block that have the same reason."""
    why: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for name, cell in row.cells.items():
            if cell.value in ("no", "values") or (name == "dims" and cell.reason):
                why.setdefault((row.block, cell.reason), []).append(COLUMNS[name].title)
    return [f"`{block}` ({', '.join(titles)}): {reason}" for (block, reason), titles in why.items()]


def _papers(rows: Sequence[Row]) -> report.Table:
    found = []
    for row in rows:
        entry = registry.entry(spec.parse_block(row.block).name)
        found.append((f"`{row.block}`", _linked(entry), str(entry.year), entry.kind, entry.listens or ""))
    return report.Table(("block", "paper", "year", "kind", "hears"), tuple(found), align="llrll")


def _linked(entry: registry.Entry) -> str:
    """The paper's title, which leads to the paper where its reference says an address or an arXiv number."""
    address = re.sub("^arxiv: *", "https://arxiv.org/abs/", entry.reference, flags=re.IGNORECASE)
    return f"[{entry.paper}]({address})" if address.startswith(("https://", "http://")) else entry.paper
