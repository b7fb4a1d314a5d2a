"""`attnzoo evaluate`: a trained run on a split."""

import json
from typing import Annotated

import typer

from attnzoo.cli import _options as options
from attnzoo.cli._data import open_data
from attnzoo.errors import AttnzooError, did_you_mean, listing
from attnzoo.results import Result

SPLITS = ("train", "valid", "test")


def evaluate(
    run: options.RunFolder,
    data: options.Data = None,
    split: Annotated[str, typer.Option(metavar="train|valid|test", help="What to score.")] = "test",
    as_json: options.Json = False,
    device: options.Device = "auto",
    workers: options.Workers = 0,
) -> None:
    """Score a trained model on a split of a data set, by the rules of its recipe."""
    if split not in SPLITS:
        raise AttnzooError(f"there is no split `{split}`", did_you_mean(split, SPLITS) or f"splits: {listing(SPLITS)}")
    Result.read(options.existing(run, "run"))
    folder = options.data_folder(data)

    from attnzoo import report, training
    from attnzoo.training.folder import read_run

    dataset = open_data(folder, read_run(run)[0])
    summary = training.evaluate(run, dataset, split, device=device, workers=workers, progress=True).summary
    typer.echo(
        json.dumps(summary, indent=2, ensure_ascii=False)
        if as_json
        else report.text(report.evaluation(summary, split)),
        nl=as_json,
    )
