"""`attnzoo data`: look at a data set, write its masks, draw one."""

import json
from pathlib import Path
from typing import Annotated

import typer

from attnzoo import recipe as recipes
from attnzoo.cli import _options as options
from attnzoo.cli._data import say

app = typer.Typer(rich_markup_mode=None)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A folder of COCO annotations, or of images and masks.")]
Recipe = Annotated[str | None, typer.Option(metavar="FILE|NAME", help="Whose [data] says how to read it.")]


@app.callback()
def data() -> None:
    """Look at a data set, write its masks, draw one."""


@app.command()
def check(folder: Folder, recipe: Recipe = None, as_json: options.Json = False) -> None:
    """Report what a careful colleague would: splits, classes, overlaps, leakage, and all that is suspicious."""
    chosen = recipes.load(recipe) if recipe else recipes.Recipe()
    options.data_folder(folder)

    from attnzoo.data.check import inspect
    from attnzoo.data.render import render

    report = inspect(folder, chosen.data, progress=True)
    typer.echo(json.dumps(report.as_dict(), indent=2, ensure_ascii=False) if as_json else render(report), nl=as_json)


@app.command()
def masks(
    folder: Folder,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to write: a new folder.")],
    recipe: Recipe = None,
) -> None:
    """Write every mask as a palette PNG: class indices for programs, colours for people."""
    chosen = recipes.load(recipe) if recipe else recipes.Recipe()
    options.data_folder(folder)

    from attnzoo.data import open_dataset
    from attnzoo.data.export import write_masks

    dataset = open_dataset(folder, chosen.data, progress=True)
    typer.echo(write_masks(dataset, out, progress=True))


@app.command()
def draw(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder.")],
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed draws the same bytes.")] = 0,
    patients: Annotated[
        int, typer.Option(metavar="N", help="Patients: three fifths train, a fifth each valid and test.")
    ] = 40,
    slices: Annotated[int, typer.Option(metavar="N", help="Images of each patient.")] = 8,
    size: Annotated[int, typer.Option(metavar="N", help="Pixels of a side.")] = 128,
) -> None:
    """Draw phantom head CTs with five kinds of bleed, as a Roboflow COCO export. No patient was scanned."""
    from attnzoo.data.phantom import draw as draw_phantom

    typer.echo(draw_phantom(folder, seed=seed, patients=patients, slices=slices, size=size, progress=True))
    say("a drawing, not data: no score on it says anything about medicine")
