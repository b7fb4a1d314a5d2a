"""What arms of runs from several places are called, and in what they differ beside their attention."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from attnzoo.workflows.finished import Finished

# what differs between arms, or between runs of one arm, by design; `precision` is the recipe's
_OWN = ("model.attention", "training.seed", "precision", "threads", "data", "schema")


def named(runs: Sequence[Finished]) -> list[Finished]:
    """The runs, with names that tell apart those of one attention by other recipes: `ema (training.epochs=2)`."""
    called = []
    for run in runs:
        kin = [_recipe(one) for one in runs if one.arm == run.arm]
        mine = _recipe(run)
        differ = [f"{field}={_short(mine.get(field))}" for field in _fields(kin)]
        called.append(replace(run, arm=f"{run.arm} ({', '.join(differ)})") if differ else run)
    return called


def differing(runs: Sequence[Finished]) -> tuple[str, ...]:
    """What the arms differ in beside their attention, so that a difference may come of that: a sentence each."""
    recipes = [_recipe(run) for run in runs]
    told = []
    for field in _fields(recipes):
        if field.startswith("plugins."):
            continue  # other blocks have other sources
        if field == "data.group_pattern":
            continue  # the groups themselves are the same, or the runs are refused (`check_alike`)
        values: dict[str, list[str]] = {}
        for run, mine in zip(runs, recipes, strict=True):
            values.setdefault(_short(mine.get(field)), []).append(run.arm)
        each = "; ".join(f"`{value}` in {', '.join(dict.fromkeys(arms))}" for value, arms in values.items())
        told.append(f"arms differ in more than attention, `{field}`: {each}")
    return tuple(told)


def _fields(recipes: Sequence[Mapping[str, Any]]) -> list[str]:
    """The fields that not all have in common."""
    fields = dict.fromkeys(field for one in recipes for field in one)
    return [field for field in fields if len({json.dumps(one.get(field)) for one in recipes}) > 1]


def _recipe(run: Finished) -> dict[str, Any]:
    """What decides a run's numbers, flat, beside attention, seed, data and what only rounds otherwise."""
    flat: dict[str, Any] = {}
    identity = run.result.identity
    for section, options in {**identity, **identity["recipe"]}.items():
        if section != "recipe":
            flat |= (
                {f"{section}.{name}": value for name, value in options.items()}
                if isinstance(options, dict)
                else {section: options}
            )
    return {field: value for field, value in flat.items() if field not in _OWN}


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 24 else f"{text[:8]}…"
