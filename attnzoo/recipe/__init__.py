"""A recipe: frozen data, read from a TOML file, that decides a run's numbers. Knows nothing of torch."""

from attnzoo.recipe.sections import SCHEMA, Claims, Data, Model, Recipe, Scores, Training, from_toml
from attnzoo.recipe.shelf import find, load, load_all, load_folder, shipped, shipped_folder

__all__ = [
    "SCHEMA",
    "Claims",
    "Data",
    "Model",
    "Recipe",
    "Scores",
    "Training",
    "find",
    "from_toml",
    "load",
    "load_all",
    "load_folder",
    "shipped",
    "shipped_folder",
]
