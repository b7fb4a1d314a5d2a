"""What no run could use, whoever asks for it: refused as soon as a recipe is made."""

import re
from dataclasses import fields
from typing import TYPE_CHECKING

from attnzoo import typed
from attnzoo.errors import AttnzooError

if TYPE_CHECKING:
    from attnzoo.recipe.sections import Recipe

LARGEST_SEED = 2**32 - 1  # what every generator of random numbers takes


def check(recipe: "Recipe") -> None:
    """Refuse values that no run could use."""
    data, model, training = recipe.data, recipe.model, recipe.training
    positive = {
        "data.image_size": min(data.image_size),
        "model.in_channels": model.in_channels,
        "model.widths": min(model.widths, default=0),
        "training.epochs": training.epochs,
        "training.batch_size": training.batch_size,
        "training.learning_rate": training.learning_rate,
    }
    for path, value in positive.items():
        if value <= 0:
            raise AttnzooError(f"`{path}` must be positive, not `{value}`", "give a number greater than 0")
    if data.window is not None and data.window[0] >= data.window[1]:
        raise AttnzooError(
            f"`data.window` must rise, not go from `{data.window[0]}` to `{data.window[1]}`", "write [low, high]"
        )
    if data.group_pattern is not None:
        try:
            re.compile(data.group_pattern)
        except re.error as error:
            raise AttnzooError(
                f"`data.group_pattern` is not a regular expression: {error}", "test it with Python's `re`"
            ) from error
    if training.weight_decay < 0:
        raise AttnzooError(
            f"`training.weight_decay` must not be negative, it is `{training.weight_decay}`", "0 is no weight decay"
        )
    if not 0 <= training.seed <= LARGEST_SEED:
        raise AttnzooError(
            f"`training.seed` must be from 0 to {LARGEST_SEED}, not `{training.seed}`", "seeds are 0, 1, 2, …"
        )
    options = {
        f"{section}.{known.name}"
        for section in ("data", "model", "training", "scores")
        for known in fields(getattr(recipe, section))
    }
    for remark in recipe.ours:
        typed.known(remark, options, "`ours`", "field")
