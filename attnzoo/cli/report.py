"""`attnzoo report`: what an ablation found, as one page."""

from pathlib import Path
from typing import Annotated

import typer

from attnzoo.cli import _options as options
from attnzoo.cli._data import say
from attnzoo.errors import AttnzooError


def report(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder that `attnzoo ablate` or `attnzoo reproduce` wrote.")
    ],
    against: options.Against = None,
    margin: options.Margin = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the data set lies now; the default is where it was.")
    ] = None,
    device: options.Device = "auto",
) -> None:
    """Write one page that needs no network, its figures (SVG, PDF, PNG) and a LaTeX table, and print the page's path.

    Verdicts come first. Test cases are picked by rule and kept, so that the page can be drawn again without weights.
    """
    if not options.existing(folder, "folder").is_dir():
        raise AttnzooError(f"`{folder}` is a file, not a folder", "give the folder that `attnzoo ablate` wrote")
    source = options.data_folder(data)

    from attnzoo.workflows.report import report as workflow

    page = workflow(folder, against=_spelt(against), margin=margin, device=device, data=source, say=say)
    typer.echo(page)


def _spelt(arm: str | None) -> str | None:
    """An arm in its canonical spelling; a recipe's name, which is none, as it is."""
    if arm is None:
        return None
    from attnzoo import spec

    try:
        return str(spec.parse(arm))
    except AttnzooError:
        return arm
