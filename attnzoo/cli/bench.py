"""`attnzoo bench`: parameters, multiply-adds, latency, memory and a step of training, side by side."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from attnzoo import recipe as recipes
from attnzoo import spec
from attnzoo.cli import _options as options
from attnzoo.cli._data import say
from attnzoo.errors import AttnzooError

Row = Mapping[str, Any]


def bench(
    recipe: Annotated[
        list[str] | None, typer.Argument(metavar="[RECIPE]...", help="TOML files, folders of them, or shipped names.")
    ] = None,
    attention: Annotated[
        str | None, typer.Option(metavar="ARM,ARM,…", help="Arms in one recipe's host, beside the host without any.")
    ] = None,
    blocks: Annotated[
        str | None, typer.Option(metavar="BLOCK,…|all", help="Blocks on their own, such as `ema,gate`.")
    ] = None,
    channels: Annotated[int, typer.Option(min=1, metavar="N", help="Width of the map, for --blocks.")] = 64,
    image_size: Annotated[
        str | None, typer.Option(metavar="N|HxW", help="Size in pixels; default: the recipe's, and 64 for --blocks.")
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Images at once for throughput and training; 8 on a GPU, else 2."),
    ] = None,
    iterations: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Timed calls; default: 100, fewer where they take too long.")
    ] = None,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="Where to compute.")] = "auto",
    training: Annotated[bool, typer.Option("--training/--no-training", help="Measure training steps too.")] = True,
    as_json: options.Json = False,
    plugins: options.Plugins = None,
) -> None:
    """Measure what models cost: recipes, one recipe's host with attentions, or blocks on their own."""
    names = recipe or []
    if blocks is not None and (names or attention is not None):
        raise AttnzooError("`--blocks` measures blocks on their own", "leave recipes and `--attention` out")
    if attention is not None and len(names) > 1:
        raise AttnzooError(f"`--attention` furnishes one recipe's host, not {len(names)}", "name one recipe")
    if not (names or attention or blocks):
        raise AttnzooError("there is nothing to measure", "name a recipe, `--attention ema,gate` or `--blocks all`")
    size = None if image_size is None else options.parse_size(image_size)
    arms = () if attention is None else spec.parse_arms(attention)
    host = (recipes.load(names[0]) if names else recipes.Recipe()) if attention is not None else None
    found = () if attention is not None else recipes.load_all(names)
    asked = () if blocks is None or blocks == "all" else spec.parse_blocks(blocks)
    options.load_plugins(plugins)

    from attnzoo.workflows import bench as workflow

    if blocks == "all":
        targets = workflow.every_target(channels, size or (64, 64), say)
    elif blocks is not None:
        targets = workflow.block_targets(asked, channels, size or (64, 64))
    elif host is not None:
        targets = workflow.arm_targets(host, arms, size)
    else:
        targets = workflow.recipe_targets(found, size)
    measured = workflow.bench(
        targets,
        device=device,
        batch=batch,
        iterations=iterations,
        training=training,
        related=blocks is None,
        progress=True,
    )
    if as_json:
        typer.echo(json.dumps(measured.rows, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        _print(measured.rows)


def _print(rows: Sequence[Row]) -> None:
    """Two tables, inference and training, and below them what no counter saw."""
    import sys

    from rich import box
    from rich.console import Console
    from rich.table import Table

    from attnzoo.report import si

    first, related = rows[0], _related(rows)

    def table(title: str, *columns: str) -> Table:
        made = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
        made.add_column("", no_wrap=True)
        for column in columns:
            made.add_column(column, justify="right", no_wrap=True)
        return made

    def times(ratio: float | None) -> str:
        return f" ({ratio:.3f}×)" if related and ratio is not None else ""

    inference = table(
        f"one image on {_where(first)}", "parameters", "MACs", "FLOPs", "ms: median", "p10-p90", "FPS", "peak memory"
    )
    batched = table(
        f"batches of {first['throughput']['batch']}", "images/s", "training step ms", "p10-p90", "training memory"
    )
    for row in rows:
        latency, training = row["latency_ms"], row["training"]
        relative = row["relative"] or {"params": None, "macs": None, "latency": {"median": None}}
        inference.add_row(
            row["name"],
            f"{row['params']:,}{times(relative['params'])}",
            f"{si(row['macs'])}{times(relative['macs'])}",
            si(row["flops"]),
            f"{latency['median']:.2f}{times(relative['latency']['median'])}",
            f"{latency['p10']:.2f}-{latency['p90']:.2f}",
            f"{row['fps']:.1f}",
            f"{si(row['peak_memory_bytes'])}B",
        )
        cells = [row["name"], f"{row['throughput']['images_per_second']:.1f}"]
        if training is not None:
            step = training["step_ms"]
            cells += [
                f"{step['median']:.2f}{times(training['relative']['median'])}",
                f"{step['p10']:.2f}-{step['p90']:.2f}",
                f"{si(training['peak_memory_bytes'])}B",
            ]
        batched.add_row(*cells)
    # a pipe has no width, and a table that is cut is no data
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 200, highlight=False)
    console.print(inference, batched)
    for line in _notes(rows):
        console.print(line, markup=False, soft_wrap=True)


def _notes(rows: Sequence[Row]) -> list[str]:
    """Claims, uncounted operators, and what may make a number worth less."""
    lines = [
        f"{row['name']}: {row['claim']:,} parameters claimed, {row['params']:,} counted"
        for row in rows
        if row["claim"] is not None
    ]
    if _related(rows):
        lines.append(f"×: relative to {rows[0]['name']}; latencies as the median of paired ratios, timed in turns")
    for row in rows:
        unseen = ", ".join(f"{name} {count}" for name, count in row["uncounted"].items()) or "nothing"
        lines.append(f"uncounted in {row['name']}: {unseen}")
        if not row["counters_agree"]:
            lines.append(f"{row['name']}: torch counts {row['torch_flops']:,} FLOPs of products, fvcore another number")
        if not row["method"]["settled"]:
            lines.append(f"{row['name']}: timings had not settled after {row['method']['warmup']} calls")
    return lines


def _related(rows: Sequence[Row]) -> bool:
    return len(rows) > 1 and rows[0]["relative"] is not None


def _where(row: Row) -> str:
    machine = row["machine"]
    name = machine.get("gpu") or f"{machine['processor']}, {machine['threads']} threads"
    return f"{row['device']} ({name}), {row['method']['iterations']} iterations"
