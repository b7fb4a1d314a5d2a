"""`attnzoo show`: all that is known of a block."""

import inspect
from typing import Annotated

import typer

from attnzoo import report, spec
from attnzoo.cli import _options as options
from attnzoo.cli.list_ import CHANNELS, describe


def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A block, as `attnzoo list` names it.")],
    plugins: options.Plugins = None,
) -> None:
    """Show a block: what it does, its options, its reference, and where it deviates from it."""
    options.load_plugins(plugins)

    from attnzoo import registry

    entry = registry.entry(name)
    about = describe(name)
    typer.echo(f"{name}: {entry.paper} ({entry.year})\n")
    typer.echo(f"{inspect.cleandoc(entry.cls.__doc__ or 'No docstring.')}\n")
    rows = tuple((option, known.type, spec.spell(known.default)) for option, known in entry.options.items())
    if rows:
        typer.echo(report.text(report.Table(("option", "type", "default"), rows, align="lll")))
    facts = {
        "kind": f"{entry.kind}: {KINDS[entry.kind]}",
        "gated": f"listens to the {entry.listens} decoder feature" if entry.gated else "no",
        "dims": ", ".join(map(str, entry.dims)),
        f"parameters at {CHANNELS} channels": report.number(about["parameters"], 0),
        "reference": entry.reference,
        "code": " ".join(filter(None, (entry.code, entry.licence and f"({entry.licence})"))) or "none published",
        "file": inspect.getsourcefile(entry.cls) or "unknown",
    }
    if entry.wraps:  # they may be those of the block within, which the docstring says
        del facts["kind"], facts["gated"]
    for fact, value in facts.items():
        typer.echo(f"{fact}: {value}")


KINDS = {
    "scale": "multiplies the skip by weights",
    "add": "adds to the skip",
    "mix": "makes a new feature of the skip",
}
