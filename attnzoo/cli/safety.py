"""`attnzoo safety`: what blocks withstand, found by trying."""

import json
from pathlib import Path
from typing import Annotated

import typer

from attnzoo import report, spec
from attnzoo.cli import _options as options
from attnzoo.cli._data import say
from attnzoo.results import environment, write_json, write_text


def safety(
    blocks: Annotated[
        str, typer.Argument(metavar="BLOCK,…|all", help="Blocks as they are spelt, such as `ema:groups=8,gate`.")
    ] = "all",
    cheap: Annotated[
        bool, typer.Option("--cheap", help="Leave out what takes long: inductor, ONNX, full-size maps.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write `blocks.md` and `blocks.json` there as well.")
    ] = None,
    as_json: options.Json = False,
    plugins: options.Plugins = None,
) -> None:
    """Print what blocks withstand: odd sizes, single images, half precision, compilers, exporters; each is tried."""
    asked = () if blocks == "all" else spec.parse_blocks(blocks)
    options.load_plugins(plugins)

    from attnzoo import registry
    from attnzoo.workflows import safety as workflow
    from attnzoo.workflows.safety import page

    columns = [name for name, column in workflow.COLUMNS.items() if not column.costly] if cheap else None
    every = asked or tuple(spec.Block(name) for name in registry.available())
    rows = workflow.matrix(every, columns, progress=True, say=say)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        surroundings = environment()
        write_json(out / "blocks.json", {"environment": surroundings, "blocks": page.to_json(rows)})
        write_text(out / "blocks.md", page.markdown(rows, surroundings))
    if as_json:
        typer.echo(json.dumps(page.to_json(rows), indent=2, ensure_ascii=False))
    else:
        typer.echo(report.text(page.table(rows)), nl=False)
