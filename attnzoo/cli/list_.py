"""`attnzoo list`: the blocks that there are."""

import json
from typing import Any

import typer

from attnzoo import report
from attnzoo.cli import _options as options
from attnzoo.cli._data import say

CHANNELS = 64


def list_(as_json: options.Json = False, plugins: options.Plugins = None) -> None:
    """List the blocks: paper, year, whether they hear the decoder, dimensions, parameters at 64 channels."""
    options.load_plugins(plugins)

    from attnzoo import registry

    rows = [describe(name) for name in registry.available()]
    for plugin, why in registry.broken_plugins().items():
        say(f"warning: the installed plugin `{plugin}` is broken: {why}")
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
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
    typer.echo(report.text(report.Table(header, cells, align="lrllrl")), nl=False)


def describe(name: str) -> dict[str, Any]:
    """What is known of a block; `parameters` is None where its defaults do not fit 64 channels."""
    from attnzoo import registry
    from attnzoo.errors import AttnzooError

    entry = registry.entry(name)
    try:
        block = registry.build(name, CHANNELS, gate_channels=CHANNELS if entry.gated else None, dims=entry.dims[0])
        parameters = sum(parameter.numel() for parameter in block.parameters())
    except AttnzooError:
        parameters = None
    return {
        "name": name,
        "paper": entry.paper,
        "year": entry.year,
        "gated": entry.gated,
        "listens": entry.listens,
        "kind": entry.kind,
        "dims": list(entry.dims),
        "parameters": parameters,
        "channels": CHANNELS,
        "reference": entry.reference,
        "code": entry.code,
        "licence": entry.licence,
    }
