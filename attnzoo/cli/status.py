"""`attnzoo status`: how far an ablation is, from another terminal."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from attnzoo.cli import _options as options
from attnzoo.errors import AttnzooError


def status(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of an ablation, a reproduction or a run.")],
    as_json: options.Json = False,
    watch: Annotated[
        float | None, typer.Option(min=0.1, metavar="N", help="Look again every N seconds, until nothing is left.")
    ] = None,
) -> None:
    """Say which runs are finished, running, failed or left, and when the last is expected to end.

    It only looks, and disturbs nothing.
    """
    if not options.existing(folder, "folder").is_dir():
        raise AttnzooError(f"`{folder}` is a file", "name a folder that `attnzoo ablate` or `train` writes to")

    from attnzoo import report
    from attnzoo.workflows import status as workflow

    while True:
        now = workflow.status(folder)
        typer.echo(
            json.dumps(workflow.record(now), indent=None if watch else 2, ensure_ascii=False)
            if as_json
            else report.text(workflow.table(now)),
            nl=as_json,
        )
        if watch is None or not now.count("running", "left", "interrupted"):
            return
        time.sleep(watch)
