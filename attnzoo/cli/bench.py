"""`attnzoo bench`: parameters, multiply-adds, latency, memory and a step of training, side by side."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from attnzoo import recipe as recipes
from attnzoo import spec
from attnzoo.cli import _options as options
from attnzoo.cli._bench import print_rows
from attnzoo.cli._data import say
from attnzoo.errors import AttnzooError

Row = Mapping[str, Any]


def bench(
    recipe: Annotated[
        list[str] | None, typer.Argument(metavar="[RECIPE]...", help="TOML files, folders of them, or shipped names.")
    ] = None,
    attention: Annotated[
        str | None, typer.Option(metavar="ARM,ARM,…|all[@SITE]", help="Arms, or every block, in one recipe's host.")
    ] = None,
    blocks: Annotated[
        str | None, typer.Option(metavar="BLOCK,…|all", help="Blocks on their own, such as `ema,gate`.")
    ] = None,
    channels: Annotated[int, typer.Option(min=1, metavar="N", help="Width of the map, for --blocks.")] = 64,
    image_size: Annotated[
        str | None, typer.Option(metavar="N|HxW", help="Size in pixels; default: the recipe's, and 64 for --blocks.")
    ] = None,
    classes: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Outputs of the networks; default: what a recipe claims, else 12."),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Images at once for throughput and training; 8 on a GPU, else 2."),
    ] = None,
    iterations: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Timed calls; default: 100, fewer where they take too long.")
    ] = None,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="Where to compute.")] = "auto",
    training: Annotated[
        bool | None,
        typer.Option(
            "--training/--no-training", help="Measure training steps too; default: yes, but none for --attention all."
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw what is added to the first: .svg, .pdf or .png.")
    ] = None,
    as_json: options.Json = False,
    plugins: options.Plugins = None,
) -> None:
    """Measure what models cost: recipes, one recipe's host with attentions, or blocks on their own."""
    names = recipe or []
    if blocks is not None and (names or attention is not None):
        raise AttnzooError("`--blocks` measures blocks on their own", "leave recipes and `--attention` out")
    if blocks is not None and classes is not None:
        raise AttnzooError(
            f"`--classes {classes}` counts a network's outputs, and blocks on their own have none", "leave it out"
        )
    if attention is not None and len(names) > 1:
        raise AttnzooError(f"`--attention` furnishes one recipe's host, not {len(names)}", "name one recipe")
    if not (names or attention or blocks):
        raise AttnzooError("there is nothing to measure", "name a recipe, `--attention ema,gate` or `--blocks all`")
    if plot is not None:
        _check_plot(plot, alone=blocks is not None)
    size = None if image_size is None else options.parse_size(image_size)
    every, elsewhere, sites = (attention or "").strip().partition("@")
    if every == "all":
        _check_zoo(batch, training)
    arms = () if attention is None or every == "all" else spec.parse_arms(attention)
    host = (recipes.load(names[0]) if names else recipes.Recipe()) if attention is not None else None
    found = () if attention is not None else recipes.load_all(names)
    asked = () if blocks is None or blocks == "all" else spec.parse_blocks(blocks)
    options.load_plugins(plugins)

    if host is not None and every == "all":
        _zoo(host, sites if elsewhere else "skip", size, classes, device, iterations, plot, as_json)
        return

    from attnzoo.workflows import bench as workflow

    if blocks == "all":
        targets = workflow.every_target(channels, size or (64, 64), say)
    elif blocks is not None:
        targets = workflow.block_targets(asked, channels, size or (64, 64))
    elif host is not None:
        targets = workflow.arm_targets(host, arms, size, classes)
    else:
        targets = workflow.recipe_targets(found, size, classes)
    measured = workflow.bench(
        targets,
        device=device,
        batch=batch,
        iterations=iterations,
        training=training is not False,
        related=blocks is None,
        drawn=plot is not None,
        progress=True,
    )
    if as_json:
        typer.echo(json.dumps(measured.rows, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        print_rows(measured.rows)
    _draw(measured.rows, plot)


def _zoo(
    host: recipes.Recipe,
    sites: str,
    size: tuple[int, int] | None,
    classes: int | None,
    device: str,
    iterations: int | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Every block in one host: a line each, and what is left out."""
    from rich.console import Console

    from attnzoo import report
    from attnzoo.workflows.zoo import zoo

    with Console(stderr=True).status("building") as status:
        measured = zoo(host, sites, size, device=device, iterations=iterations, classes=classes, say=status.update)
    if as_json:
        for name, reason in measured.left_out.items():
            say(f"left out `{name}`: {reason}")
        typer.echo(json.dumps(measured.rows, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        typer.echo(report.text(report.overheads(measured.rows, measured.left_out)), nl=False)
    _draw(measured.rows, plot)


def _check_zoo(batch: int | None, training: bool | None) -> None:
    """What is not measured of every block is not asked for in vain."""
    for given, word in ((batch is not None, f"--batch {batch}"), (training is True, "--training")):
        if given:
            raise AttnzooError(
                f"`--attention all` times single images and no training, and `{word}` is for what it leaves out",
                "leave it out, or name the arms, as in `--attention ema,gate`",
            )


def _check_plot(plot: Path, *, alone: bool) -> None:
    """Before anything is measured."""
    from attnzoo.report import figures

    if alone:
        raise AttnzooError(
            "`--plot` draws what is added to a host, and blocks on their own have none", "say `--attention` instead"
        )
    figures.check_format(plot)


def _draw(rows: Sequence[Row], plot: Path | None) -> None:
    """After the numbers, which a picture that cannot be written takes none of."""
    if plot is not None:
        from attnzoo.report import figures

        plot.parent.mkdir(parents=True, exist_ok=True)
        plot.write_bytes(figures.overhead(rows, figures.check_format(plot)))
        say(f"drawn to {plot}")
