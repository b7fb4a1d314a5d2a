"""Recipes on disk: by path, or by the name of one that came with attnzoo."""

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from attnzoo.errors import AttnzooError, did_you_mean, listing
from attnzoo.recipe.sections import Recipe, from_toml


def load(name: str | Path) -> Recipe:
    """A recipe by path, or by the name of one that came with attnzoo (`smoke`, `ema-attention-unet/attention-unet`)."""
    path = Path(name) if Path(name).is_file() else find(name)
    if not path.is_file():
        raise AttnzooError(
            f"`{name}` is neither a recipe file nor the name of a shipped recipe",
            did_you_mean(str(name), shipped()) or f"shipped recipes: {listing(shipped())}",
        )
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise AttnzooError(f"`{name}` is not a text in UTF-8", "a recipe is a TOML file") from error
    return from_toml(text, name=path.stem, source=str(name))


def find(name: str | Path) -> Path:
    """The path behind the shipped name of a recipe, or of a folder of recipes; it may not exist."""
    inside = shipped_folder() / str(name).removeprefix("recipes/")
    return inside if inside.is_dir() or inside.suffix == ".toml" else inside.with_name(inside.name + ".toml")


def load_folder(name: str | Path) -> tuple[Recipe, ...]:
    """All recipes of a folder, given by path or by shipped name, in the order of their file names."""
    folder = Path(name) if Path(name).is_dir() else find(name)
    if not folder.is_dir() or not (paths := sorted(folder.glob("*.toml"))):
        folders = sorted({known.partition("/")[0] for known in shipped() if "/" in known})
        raise AttnzooError(
            f"`{name}` is neither a folder of recipes nor the name of a shipped one",
            did_you_mean(str(name), folders) or f"shipped folders: {listing(folders)}",
        )
    return tuple(load(path) for path in paths)


def load_all(names: Sequence[str | Path]) -> tuple[Recipe, ...]:
    """Recipes and folders of recipes, by path or by shipped name, in that order."""
    loaded: list[Recipe] = []
    for name in names:
        is_folder = Path(name).is_dir() or (not Path(name).is_file() and find(name).is_dir())
        loaded += load_folder(name) if is_folder else (load(name),)
    return tuple(loaded)


def shipped_folder() -> Path:
    """Where the recipes of this installation lie: inside the wheel, or beside the package in a checkout."""
    package = Path(str(resources.files("attnzoo")))
    installed = package / "_recipes"
    return installed if installed.is_dir() else package.parent / "recipes"


def shipped() -> tuple[str, ...]:
    """The names of the recipes that came with attnzoo."""
    folder = shipped_folder()
    return tuple(sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.toml")))
