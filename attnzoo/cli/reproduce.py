"""`attnzoo reproduce`: a paper's models, counted and trained, beside its numbers."""

from typing import Annotated

import typer

from attnzoo.cli import _options as options
from attnzoo.cli._data import open_data, say
from attnzoo.errors import AttnzooError
from attnzoo.workflows.claims import claimed


def reproduce(
    folder: Annotated[
        str, typer.Argument(metavar="FOLDER", help="A folder of recipes with [claims], or a shipped one's name.")
    ],
    data: options.Data = None,
    seeds: options.Seeds = None,
    epochs: options.Epochs = None,
    image_size: options.ImageSize = None,
    batch_size: options.BatchSize = None,
    absent: options.Absent = None,
    settings: options.Settings = None,
    out: options.Out = None,
    device: options.Device = "auto",
    devices: options.Devices = 1,
    workers: options.Workers = 0,
    jobs: options.Jobs = 1,
    deterministic: options.Deterministic = False,
    plugins: options.Plugins = None,
) -> None:
    """Check a paper's parameter counts, train its models, and print its tables with ours beside each number.

    A count that differs from its claim is an error, told before anything is trained.
    """
    models = claimed(folder)
    changes = options.overrides(epochs, image_size, batch_size, absent, settings)
    if "model.attention" in changes:
        raise AttnzooError("a paper's attention cannot be overridden", "compare others with `attnzoo ablate`")
    numbers = options.parse_seeds(seeds) if seeds is not None else None
    overridden = [recipe.override(changes) for recipe in models]
    source = options.data_folder(data)
    loaded = options.load_plugins(plugins)

    from attnzoo import report
    from attnzoo.workflows import reproduce as workflow
    from attnzoo.workflows.execute import Setting

    setting = Setting(device, workers, loaded, True, say, devices, deterministic, jobs)
    counted = workflow.count(models, say)
    dataset = open_data(source, overridden[0])
    done = workflow.reproduce(counted, dataset, out, numbers, changes, setting)
    for table in done.tables:
        typer.echo(report.text(table))
    if done.caveats:
        typer.echo("What cannot be compared, and why:")
        for caveat in done.caveats:
            typer.echo(f"- {caveat}")
    written = "reproduction.md, reproduction.json"
    say(f"written to {done.folder}: {written}{f', {done.page.relative_to(done.folder)}' if done.page else ''}")
