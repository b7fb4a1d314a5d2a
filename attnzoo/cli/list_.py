"""`attnzoo list`: the blocks that there are."""

import json
import shutil
import sys
from collections.abc import Sequence
from typing import Any

import typer

from attnzoo import report, spec
from attnzoo.cli import _options as options
from attnzoo.cli._data import say

CHANNELS = 64


def list_(as_json: options.Json = False, plugins: options.Plugins = None) -> None:
    """List the blocks: paper, year, whether they hear the decoder, dimensions, parameters at 64 channels."""
    options.load_plugins(plugins)

    from attnzoo import registry

    names = registry.available()
    for plugin, why in registry.broken_plugins().items():
        say(f"warning: the installed plugin `{plugin}` is broken: {why}")
    if as_json:
        typer.echo(json.dumps([describe(name) for name in names], indent=2, ensure_ascii=False))
        return
    groups = sorted({registry.entry(name).group for name in names}, key=_place)
    for number, group in enumerate(groups):
        # each as soon as it is counted: timm's layers are built with timm, which takes as long to import as torch
        rows = [describe(name) for name in names if registry.entry(name).group == group]
        typer.echo("\n" * bool(number) + _fitted(report.text(_table(group, rows))), nl=False)
        sys.stdout.flush()


def _fitted(table: str) -> str:
    """The table, cut where a terminal ends, in the papers' titles; a pipe gets it whole."""
    if not sys.stdout.isatty():
        return table
    width = shutil.get_terminal_size().columns
    cut = [line if len(line) <= width else f"{line[: width - 1].rstrip()}…" for line in table.splitlines()]
    return "\n".join(cut) + "\n"


def _place(group: str) -> tuple[bool, bool, str]:
    """Ours, then those of plugins, and timm's last."""
    return group == "timm", group not in ("attnzoo", "controls"), group


def _table(group: str, rows: Sequence[dict[str, Any]]) -> report.Table:
    header = ("name", "year", "gated", "dims", f"parameters at {CHANNELS}", "paper")
    cells = tuple(
        (
            row["name"],
            str(row["year"]),
            "yes" if row["gated"] else "no",
            ", ".join(map(str, row["dims"])),
            report.number(row["parameters"], 0),
            row["paper"],
        )
        for row in rows
    )
    return report.Table(header, cells, title=f"{group}: {len(rows)}", align="lrllrl")


def describe(name: str) -> dict[str, Any]:
    """What is known of a block; `parameters` is None where it cannot be built at 64 channels by its defaults."""
    from attnzoo import registry
    from attnzoo.errors import AttnzooError

    entry = registry.entry(name)
    try:
        gate_channels = CHANNELS if registry.signal(spec.Block(name)) else None
        block = registry.build(name, CHANNELS, gate_channels=gate_channels, dims=entry.dims[0])
        parameters = sum(parameter.numel() for parameter in block.parameters())
    except (AttnzooError, ValueError):  # torch's, of a lazy layer: its weights have no size yet
        parameters = None
    return {
        "name": name,
        "group": entry.group,
        "paper": entry.paper,
        "year": entry.year,
        "gated": entry.gated,
        "listens": entry.listens,
        "wraps": entry.wraps,
        "kind": entry.kind,
        "dims": list(entry.dims),
        "parameters": parameters,
        "channels": CHANNELS,
        "reference": entry.reference,
        "code": entry.code,
        "licence": entry.licence,
    }
