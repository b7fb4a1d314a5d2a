"""The data of a command: the folder that was given, or the phantom."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from attnzoo.recipe import Recipe

if TYPE_CHECKING:
    from attnzoo.data.dataset import Dataset

PHANTOM = "no --data: drawing a phantom head CT. What follows shows the shape of the table, not a result."


def say(line: str) -> None:
    """Talk: a line on stderr."""
    typer.echo(line, err=True)


def open_data(folder: Path | None, recipe: Recipe) -> "Dataset":
    """Read and check a data set by the recipe's options; without a folder, the phantom, said on stderr."""
    from attnzoo.data.dataset import open_dataset

    if folder is None:
        from attnzoo.data.phantom import default_phantom

        say(PHANTOM)
        folder = default_phantom(progress=True)
    dataset = open_dataset(folder, recipe.data, progress=True)
    for finding in dataset.findings:
        if finding.level == "warning":
            say(f"warning: {finding.message}")
    return dataset
