"""`attnzoo compare`: finished runs from anywhere, with the same test images, and whether a gain is real."""

import json
from pathlib import Path
from typing import Annotated

import typer

from attnzoo.cli import _options as options


def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN", help="Folders of finished runs, or of arms or ablations of them.")
    ],
    against: options.Against = None,
    metric: Annotated[
        str, typer.Option(metavar="dice|iou|precision|recall|hd95|nsd|ece", help="What is compared.")
    ] = "dice",
    margin: options.Margin = None,
    level: Annotated[float, typer.Option(metavar="0.95", help="Of the intervals.")] = 0.95,
    names: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="NAME", help="What the arm of each RUN is called, in their order; repeatable."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Compare finished runs with the same test images: differences with intervals, and a verdict in words."""
    for run in runs:
        options.existing(run, "run")

    from attnzoo import report
    from attnzoo.workflows import compare as workflow

    compared = workflow.compare(runs, against=against, metric=metric, margin=margin, level=level, names=names or ())
    if as_json:
        typer.echo(json.dumps(workflow.record(compared), indent=2, ensure_ascii=False))
        return
    typer.echo(report.text(report.verdicts(compared.comparison, compared.gaps)))
    typer.echo("\n".join(report.sentences(compared.comparison)))
