"""A paper's tables with ours beside each number, and what keeps the two from being comparable. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from attnzoo import report
from attnzoo.errors import AttnzooError
from attnzoo.recipe import Claims, Recipe, load_folder
from attnzoo.report import Table, macro
from attnzoo.results import Result


@dataclass(frozen=True)
class Model:
    """A model of a paper: its recipe as it was run, its claims, and ours, where it was trained.

    `counted` is the number of parameters of the claimed build, with as many outputs as the paper has classes; `cost` a
    row of `attnzoo.measure.compare`.
    """

    recipe: Recipe
    claims: Claims
    counted: int
    results: tuple[Result, ...] = ()
    cost: Mapping[str, Any] = field(default_factory=dict)


def claimed(folder: str | Path) -> tuple[Recipe, ...]:
    """The recipes of a folder (a path or a shipped name) that claim something.

    Raises:
        AttnzooError: There is no such folder, or no recipe in it has `[claims]`.
    """
    found = tuple(one for one in load_folder(folder) if one.claims is not None)
    if not found:
        raise AttnzooError(
            f"no recipe in `{folder}` has `[claims]`", "`attnzoo train` takes recipes that claim nothing"
        )
    return found


Ours = Callable[[Model], str]


def _score(read: Callable[[Result], float | None], digits: int = 4) -> Ours:
    return lambda model: report.mean([read(result) for result in model.results], digits)


def _latency(model: Model) -> str:
    return report.number((model.cost.get("latency_ms") or {}).get("median"), 2)


# the rows of the paper's table 3: its words, its number, the number's format, ours
ROWS: tuple[tuple[str, str, str, Ours], ...] = (
    ("Best validation Dice", "best_validation_dice", ".4f", _score(lambda result: result.best_score)),
    ("Best validation epoch", "best_epoch", "d", _score(lambda result: result.best_epoch, 0)),
    (
        "Final test Dice training",
        "test_dice_batch",
        ".4f",
        _score(lambda result: result.test["batch_average"].get("dice")),
    ),
    ("Final test Dice global macro", "test_dice", ".4f", _score(lambda result: macro(result)["dice"])),
    ("Final test IoU global macro", "test_iou", ".4f", _score(lambda result: macro(result)["iou"])),
    ("Final test Precision global macro", "test_precision", ".4f", _score(lambda result: macro(result)["precision"])),
    ("Final test Recall global macro", "test_recall", ".4f", _score(lambda result: macro(result)["recall"])),
    ("Parameters", "parameters", ",d", lambda model: f"{model.counted:,}"),
    ("Parameters of the trained model", "", "", lambda model: f"{model.results[0].parameters:,}"),
    ("Inference time (ms)", "latency_ms", ".2f", _latency),
    ("FPS", "fps", ".2f", lambda model: report.number(model.cost.get("fps"), 2)),
)
CONSISTENCY = ("best_epoch", "best_validation_dice", "test_dice_batch", "test_dice")  # table 4


def counts(models: Sequence[Model]) -> Table:
    """Every model's parameters: claimed, and counted on a build with the paper's outputs."""
    rows = [
        (
            model.recipe.name,
            model.recipe.model.attention,
            str(model.claims.classes),
            f"{model.claims.parameters:,}",
            f"{model.counted:,}",
        )
        for model in models
    ]
    return Table(("model", "attention", "outputs", "paper", "counted"), tuple(rows), "Parameters", align="llrrr")


def comparison(models: Sequence[Model]) -> Table:
    """The paper's table 3, with two columns a model: the paper's and ours."""
    header = ("Metric", *(f"{model.claims.model}, {who}" for model in models for who in ("paper", "ours")))
    rows = []
    for words, claim, form, ours in ROWS:
        cells = [words]
        for model in models:
            cells += [_claimed(model.claims, claim, form), ours(model)]
        rows.append(tuple(cells))
    ratios = [f"FPS relative to {models[0].claims.model}"]
    for model in models:
        ratios += [_ratio(model.claims.fps, models[0].claims.fps), _ratio(model.cost["fps"], models[0].cost["fps"])]
    rows.append(tuple(ratios))
    return Table(header, tuple(rows), "Table 3. Final quantitative comparison on the test set")


def consistency(models: Sequence[Model]) -> Table:
    """The paper's table 4: a row a model and origin."""
    known = {claim: (form, ours) for _, claim, form, ours in ROWS}
    header = ("Model", "Best Val Epoch", "Best Val Dice", "Final Test Dice Train", "Final Test Dice Global Macro")
    rows = []
    for model in models:
        rows.append(
            (f"{model.claims.model}, paper", *(_claimed(model.claims, claim, known[claim][0]) for claim in CONSISTENCY))
        )
        rows.append((f"{model.claims.model}, ours", *(known[claim][1](model) for claim in CONSISTENCY)))
    return Table(header, tuple(rows), "Table 4. Consistency checks for result interpretation")


def caveats(models: Sequence[Model], data: str, device: str, changes: Mapping[str, Any]) -> tuple[str, ...]:
    """What cannot be compared, and why: a sentence each.

    Args:
        models: Those that were trained.
        data: Our data in words: where, how many images, how many classes.
        device: What our latency was measured on.
        changes: Overrides of the recipes, by path.
    """
    first = models[0]
    trained = len(first.results[0].classes)
    notes = [
        f"scores: other data. Ours are {data}; the paper's models have {first.claims.classes} outputs, "
        f"the trained ones {trained}",
        f"inference time and FPS: other hardware. Ours is {device}, the paper's {first.claims.hardware or 'unsaid'}; "
        "the ratio between the models compares better than the milliseconds",
    ]
    known = {*changes, "training.seed"}
    unsaid = [_told(model.recipe, path) for model in models for path in model.recipe.ours if path not in known]
    if unsaid:
        notes.append(f"training: the paper does not say, and we chose, {', '.join(dict.fromkeys(unsaid))}")
    if changes:
        told = ", ".join(_told(first.recipe, path) for path in changes)
        notes.append(f"training: this command overrode {told}; the paper's numbers need the recipe as it is")
    seeds = [str(result.seed) for result in first.results]
    notes.append(
        f"spread: the paper gives single numbers; ours are from seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}"
    )
    return tuple(notes)


def _claimed(claims: Claims, name: str, form: str) -> str:
    value = getattr(claims, name) if name else None
    return "–" if value is None else format(value, form)


def _ratio(fps: float | None, first: float | None) -> str:
    return "–" if fps is None or not first else f"{fps / first:.3f}"


def _told(recipe: Recipe, path: str) -> str:
    """A field as `data.image_size = 64×64`."""
    section, _, option = path.partition(".")
    value = getattr(getattr(recipe, section), option)
    plain = (
        "×".join(map(str, value)) if isinstance(value, tuple) and value else "none" if value in (None, ()) else value
    )
    return f"{path} = {plain}"
