"""Options that several commands share, and how their words become values."""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import typer

from attnzoo.errors import AttnzooError
from attnzoo.recipe import Recipe
from attnzoo.recipe.checks import LARGEST_SEED
from attnzoo.spec import Attention

Plugins = Annotated[
    list[Path] | None, typer.Option("--plugin", metavar="FILE", help="A Python file that registers blocks; repeatable.")
]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda|mps", help="Where to compute.")]
Workers = Annotated[int, typer.Option(min=0, metavar="N", help="Processes that load images.")]
Devices = Annotated[int, typer.Option(min=1, metavar="N", help="Processes, a device each (DDP).")]
Jobs = Annotated[
    int,
    typer.Option(
        min=1,
        metavar="N",
        help="Runs at a time on the device, a process each, which takes as many CPU threads as OMP_NUM_THREADS says.",
    ),
]
Deterministic = Annotated[
    bool, typer.Option("--deterministic", help="The same bits again on a GPU, slower; a CPU needs no asking.")
]
Out = Annotated[Path | None, typer.Option(metavar="DIR", help="Where to write; the default is a folder in `runs/`.")]
Data = Annotated[Path | None, typer.Option(metavar="DIR", help="Data set; the default is a drawn phantom.")]
Seeds = Annotated[str | None, typer.Option(metavar="0,1,2", help="Seeds, a run for each; the default is the recipe's.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run.")]
Against = Annotated[
    str | None, typer.Option(metavar="ARM", help="The reference arm; the default is `none`, or the first.")
]
Margin = Annotated[
    float | None,
    typer.Option(metavar="X", help="A difference that would not matter: arms within it are called equivalent."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

Epochs = Annotated[int | None, typer.Option(metavar="N", help="Sets training.epochs.")]
ImageSize = Annotated[str | None, typer.Option(metavar="N|HxW", help="Sets data.image_size, in pixels.")]
BatchSize = Annotated[int | None, typer.Option(metavar="N", help="Sets training.batch_size.")]
Absent = Annotated[
    str | None, typer.Option(metavar="exclude|zero|one|error", help="Sets scores.absent: what an absent class counts.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SECTION.FIELD=VALUE",
        help="Sets any field of the recipe; `none` empties one that may be left out; repeatable.",
    ),
]


def overrides(
    epochs: int | None,
    image_size: str | None,
    batch_size: int | None,
    absent: str | None,
    settings: Sequence[str] | None,
) -> dict[str, Any]:
    """The asked changes to a recipe, by path, as `Recipe.override` takes them."""
    shorthand = {
        "training.epochs": epochs,
        "data.image_size": None if image_size is None else parse_size(image_size),
        "training.batch_size": batch_size,
        "scores.absent": absent,
    }
    asked = {path: value for path, value in shorthand.items() if value is not None}
    free = parse_settings(settings or ())
    if twice := sorted(asked.keys() & free.keys()):
        option = twice[0].partition(".")[2].replace("_", "-")
        raise AttnzooError(f"`--{option}` and `--set` both set `{twice[0]}`", "name every field once")
    return asked | free


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """`training.learning_rate=1e-3` → a path and a TOML value; what is no TOML value is a text.

    TOML has no null: `none` is one for a field that may be left out, and a word like any other elsewhere.
    """
    parsed: dict[str, Any] = {}
    for setting in settings:
        path, equals, value = setting.partition("=")
        if not equals or not re.fullmatch(r"\w+\.\w+", path):
            raise AttnzooError(
                f"`--set {setting}` is not of the form section.field=value",
                "for example `--set training.learning_rate=1e-3`",
            )
        if path in parsed:
            raise AttnzooError(f"`--set` names `{path}` twice", "name every field once")
        try:
            parsed[path] = tomllib.loads(f"value = {value}")["value"]
        except ValueError:  # TOMLDecodeError is one
            parsed[path] = None if value.lower() == "none" and _may_be_left_out(path) else value
    return parsed


def _may_be_left_out(path: str) -> bool:
    """Whether a field of the recipe admits None."""
    section, _, field = path.partition(".")
    kind = get_type_hints(Recipe).get(section)
    return is_dataclass(kind) and type(None) in get_args(get_type_hints(kind).get(field))


def parse_size(word: str) -> tuple[int, int]:
    """`96` → (96, 96), `96x128` → height 96, width 128."""
    if (found := re.fullmatch(r"0*([1-9]\d*)(?:[x×]0*([1-9]\d*))?", word)) is None:
        raise AttnzooError(
            f"`--image-size {word}` is no size", "write one number for a square, or height x width: `96x128`"
        )
    return int(found[1]), int(found[2] or found[1])


def parse_seeds(word: str) -> tuple[int, ...]:
    """`0,1,2` → (0, 1, 2)."""
    words = [part.strip() for part in word.split(",")]
    for part in words:
        if not (part.isascii() and part.isdigit()):
            raise AttnzooError(
                f"`--seeds {word}` has `{part}`, which is no seed", "write whole numbers with commas: `--seeds 0,1,2`"
            )
        # by its length first: Python refuses to read a number of 5000 digits
        if len(part.lstrip("0")) > len(str(LARGEST_SEED)) or int(part) > LARGEST_SEED:
            raise AttnzooError(
                f"`--seeds {word}` has `{part}`, which is too large for a seed", f"seeds are 0 to {LARGEST_SEED}"
            )
    seeds = tuple(int(part) for part in words)
    if repeated := [seed for index, seed in enumerate(seeds) if seed in seeds[:index]]:
        raise AttnzooError(f"`--seeds {word}` has `{repeated[0]}` twice", "a seed is one run: name it once")
    return seeds


def existing(path: Path, what: str) -> Path:
    """The path, if there is anything; asked before anything heavy is imported."""
    if not path.exists():
        raise AttnzooError(f"there is no {what} `{path}`", "check the path")
    return path


def data_folder(path: Path | None) -> Path | None:
    """The `--data` folder if it is one."""
    if path is not None and not existing(path, "data folder").is_dir():
        raise AttnzooError(
            f"`{path}` is a file, not a data folder", "give the folder that holds `train`, `valid` and `test`"
        )
    return path


def load_plugins(paths: Sequence[Path] | None) -> tuple[Any, ...]:
    """Register the blocks of users' files."""
    files = [existing(path, "plugin file") for path in paths or ()]

    from attnzoo import registry

    return tuple(registry.load_plugin(path) for path in files)


def known_blocks(arms: Sequence[Attention]) -> None:
    """Refuse a block that nobody registered, before data are read."""
    from attnzoo import registry

    for arm in arms:
        for placement in arm.placements:
            for block in placement.chain:
                registry.entry(block.name)
