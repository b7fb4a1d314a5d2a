"""`attnzoo ablate`: the same network with each attention, trained, scored, timed, and compared."""

from typing import Annotated

import typer

from attnzoo import recipe as recipes
from attnzoo import spec
from attnzoo.cli import _options as options
from attnzoo.cli._data import open_data, say
from attnzoo.errors import AttnzooError
from attnzoo.workflows.plan import with_baseline


def ablate(
    attention: Annotated[
        str, typer.Option(metavar="ARM,ARM,…", help="The arms, such as `ema,gate,ema+gate@skip/ema@bottleneck`.")
    ],
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|NAME", help="What all arms share; default: `smoke` on the phantom, else 50 epochs at 256×256."
        ),
    ] = None,
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
    deterministic: options.Deterministic = False,
    none: Annotated[bool, typer.Option("--none/--no-none", help="Compare with the network without attention.")] = True,
    plugins: options.Plugins = None,
) -> None:
    """Train a network with each attention and print the table of scores and costs.

    Interrupted, the same command goes on where it stopped; more arms or seeds can be added to a finished folder.
    """
    arms = _arms(attention, none)
    chosen = recipes.load(recipe) if recipe else recipes.load("smoke") if data is None else recipes.Recipe()
    chosen = chosen.override(options.overrides(epochs, image_size, batch_size, absent, settings))
    numbers = options.parse_seeds(seeds) if seeds is not None else (chosen.training.seed,)
    folder = options.data_folder(data)
    loaded = options.load_plugins(plugins)
    options.known_blocks(arms)

    from attnzoo import report
    from attnzoo.workflows import ablate as workflow
    from attnzoo.workflows.execute import Setting

    setting = Setting(device, workers, loaded, progress=True, say=say, devices=devices, deterministic=deterministic)
    ablation = workflow.ablate(chosen, arms, numbers, open_data(folder, chosen), out, setting)
    typer.echo(report.text(ablation.table), nl=False)
    say(f"written to {ablation.folder}: table.md, table.tex, results.csv, scores.csv, cost.json, cost.svg, cost.pdf")


def _arms(words: str, none: bool) -> tuple[spec.Attention, ...]:
    """The asked arms; with the baseline, `none`, in front."""
    arms = spec.parse_arms(words)
    baseline = spec.Attention()
    if not none and baseline in arms:
        raise AttnzooError("`none` was named as an arm and refused by `--no-none`", "leave one of the two out")
    return with_baseline(arms) if none else arms
