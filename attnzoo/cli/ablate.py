"""`attnzoo ablate`: the same network with each attention, trained, scored, timed, and compared."""

import shlex
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
    jobs: options.Jobs = 1,
    deterministic: options.Deterministic = False,
    timed: Annotated[
        bool, typer.Option("--time/--no-time", help="Time all arms, in turns, once the last run is done.")
    ] = True,
    against: options.Against = None,
    margin: options.Margin = None,
    none: Annotated[bool, typer.Option("--none/--no-none", help="Compare with the network without attention.")] = True,
    plugins: options.Plugins = None,
) -> None:
    """Train a network with each attention, print the table of scores and costs, and say whether a gain is real.

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

    reference = str(spec.parse(against)) if against is not None else None
    setting = Setting(device, workers, loaded, True, say, devices, deterministic, jobs)
    dataset = open_data(folder, chosen)
    ablation = workflow.ablate(
        chosen, arms, numbers, dataset, out, setting, timed=timed, against=reference, margin=margin
    )
    typer.echo(report.text(ablation.table), nl=False)
    written = "table.md, table.tex, results.csv, scores.csv"
    if ablation.compared is not None:
        typer.echo("\n" + "\n".join(report.sentences(ablation.compared.comparison)))
        written += ", verdicts.md, verdicts.json"
    if ablation.costs:
        written += ", cost.json, cost.svg, cost.pdf"
    say(f"written to {ablation.folder}: {written}")
    say(f"a page of all this: attnzoo report {shlex.quote(str(ablation.folder))}")
    if ablation.failures:
        run, failure = next(iter(ablation.failures.items()))
        more = f" and {len(ablation.failures) - 1} more" if len(ablation.failures) > 1 else ""
        raise AttnzooError(f"{run}{more} failed: {failure.message}", failure.hint)


def _arms(words: str, none: bool) -> tuple[spec.Attention, ...]:
    """The asked arms; with the baseline, `none`, in front."""
    arms = spec.parse_arms(words)
    baseline = spec.Attention()
    if not none and baseline in arms:
        raise AttnzooError("`none` was named as an arm and refused by `--no-none`", "leave one of the two out")
    return with_baseline(arms) if none else arms
