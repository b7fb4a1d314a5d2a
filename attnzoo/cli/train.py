"""`attnzoo train`: one run of one recipe."""

from typing import Annotated

import typer

from attnzoo import recipe as recipes
from attnzoo import spec
from attnzoo.cli import _options as options
from attnzoo.cli._data import open_data, say


def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A TOML file, or the name of a shipped recipe.")],
    data: options.Data = None,
    attention: Annotated[str | None, typer.Option(metavar="ATTENTION", help="Sets model.attention.")] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Sets training.seed.")] = None,
    epochs: options.Epochs = None,
    image_size: options.ImageSize = None,
    batch_size: options.BatchSize = None,
    absent: options.Absent = None,
    settings: options.Settings = None,
    out: options.Out = None,
    device: options.Device = "auto",
    devices: options.Devices = 1,
    workers: options.Workers = 0,
    deterministic: options.Deterministic = False,
    plugins: options.Plugins = None,
) -> None:
    """Train one model and print its scores. Interrupted, the same command goes on where it stopped."""
    changes = options.overrides(epochs, image_size, batch_size, absent, settings)
    said = {"model.attention": attention, "training.seed": seed}
    chosen = recipes.load(recipe).override(changes | {path: value for path, value in said.items() if value is not None})
    folder = options.data_folder(data)
    loaded = options.load_plugins(plugins)
    options.known_blocks([spec.parse(chosen.model.attention)])

    from attnzoo import report
    from attnzoo.workflows.execute import Setting, execute, pending
    from attnzoo.workflows.plan import Run, default_run_folder

    dataset = open_data(folder, chosen)
    run = out or default_run_folder(chosen, dataset.digest)
    setting = Setting(device, workers, loaded, progress=True, say=say, devices=devices, deterministic=deterministic)
    one = (Run(spec.parse(chosen.model.attention), chosen.training.seed, chosen, "."),)
    (result,) = execute(one, pending(one, run, dataset, setting), run, dataset, setting)
    typer.echo(report.text(report.evaluation(result.test, "test")), nl=False)
    say(f"best epoch {result.best_epoch} by {result.selected_by}; written to {run}")
