"""`attnzoo evaluate`: a trained run on a split."""

import json
from pathlib import Path
from typing import Annotated

import typer

from attnzoo.cli import _options as options
from attnzoo.cli._data import open_data, say
from attnzoo.errors import AttnzooError, did_you_mean, listing
from attnzoo.results import Result

SPLITS = ("train", "valid", "test")


def evaluate(
    run: options.RunFolder,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Data set; the default is the one that the run was trained on.")
    ] = None,
    split: Annotated[str, typer.Option(metavar="train|valid|test", help="What to score.")] = "test",
    absent: options.Absent = None,
    resolution: Annotated[
        str | None, typer.Option(metavar="image|network", help="Sets scores.resolution: at which size pixels count.")
    ] = None,
    as_json: options.Json = False,
    device: options.Device = "auto",
    workers: options.Workers = 0,
) -> None:
    """Score a trained model on a split of a data set, by the rules of its recipe where no option says otherwise."""
    if split not in SPLITS:
        raise AttnzooError(f"there is no split `{split}`", did_you_mean(split, SPLITS) or f"splits: {listing(SPLITS)}")
    Result.read(options.existing(run, "run"))
    folder = options.data_folder(data)

    from attnzoo import report, training
    from attnzoo.training.folder import own_data, read_run

    recipe, _ = read_run(run)
    home, digest = own_data(run)
    if folder is None and not home.is_dir():
        raise AttnzooError(f"the data of `{run}` are not at `{home}` any more", "say where they are: `--data DIR`")
    if folder is not None:  # groups and leakage are questions to data that a model was trained on
        recipe = recipe.override({"data.group_pattern": None, "data.allow_leakage": True})
    dataset = open_data(folder or home, recipe)
    if folder is None and dataset.digest != digest:
        say(f"warning: `{home}` has changed since `{run}` was trained on it")
    summary = training.evaluate(
        run, dataset, split, device=device, workers=workers, resolution=resolution, absent=absent, progress=True
    ).summary
    typer.echo(
        json.dumps(summary, indent=2, ensure_ascii=False)
        if as_json
        else report.text(report.evaluation(summary, split)),
        nl=as_json,
    )
