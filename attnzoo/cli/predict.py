"""`attnzoo predict`: a trained run looks at image files."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from attnzoo.cli import _options as options
from attnzoo.cli._data import say
from attnzoo.errors import AttnzooError
from attnzoo.results import Result


def predict(
    run: options.RunFolder,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGES…", help="Image files.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where to write; the default is `predictions` in the run's folder."),
    ] = None,
    maps: Annotated[
        bool, typer.Option("--maps", help="Also draw what each block of attention does to each image.")
    ] = False,
    device: options.Device = "auto",
) -> None:
    """Write an index mask and an overlay with a legend for each image, and print their paths."""
    Result.read(options.existing(run, "run"))
    for image in images:
        if options.existing(image, "image").is_dir():
            raise AttnzooError(f"`{image}` is a folder, not an image", _files_in(image))

    from attnzoo.workflows import predict as workflow

    for prediction in workflow.predict(run, images, out, maps=maps, device=device, say=say):
        typer.echo("\n".join(map(str, prediction.files)))


def _files_in(folder: Path) -> str:
    """The hint that names a folder's images by the suffix of most."""
    from attnzoo.data.content import SUFFIXES

    suffixes = Counter(path.suffix for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not suffixes:
        return "name the files; it holds no image"
    return f"name the files: `{folder}/*{suffixes.most_common(1)[0][0]}`"
