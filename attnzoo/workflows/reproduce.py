"""A paper's models: their parameter counts, which must be exact, and its tables with ours beside each number."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from attnzoo import measure, report, spec, training
from attnzoo.data.dataset import Dataset
from attnzoo.errors import AttnzooError, first_line
from attnzoo.models import build_model
from attnzoo.recipe import Recipe
from attnzoo.results import environment, write_json, write_text
from attnzoo.training.devices import describe
from attnzoo.workflows.bench import measure_arms
from attnzoo.workflows.claims import Model, caveats, comparison, consistency, counts
from attnzoo.workflows.execute import Say, Setting, execute, pending
from attnzoo.workflows.plan import Run, default_folder
from attnzoo.workflows.report import report as report_page

TEXT, JSON = "reproduction.md", "reproduction.json"
SCHEMA = 1


@dataclass(frozen=True)
class Reproduction:
    """A finished reproduction: its folder, all models, the tables, what keeps them from being compared, and the page.

    There is no page where no model was trained, or where it could not be drawn.
    """

    folder: Path
    models: tuple[Model, ...]
    tables: tuple[report.Table, ...]
    caveats: tuple[str, ...]
    page: Path | None = None


def count(recipes: Sequence[Recipe], say: Say = lambda line: None) -> tuple[Model, ...]:
    """Build every model with its paper's outputs, untrained, and count.

    Args:
        recipes: As `claims.claimed` gives them, as they are.
        say: Gets a line for each count.

    Raises:
        AttnzooError: A count differs from its claim, by however little.
    """
    models, wrong = [], []
    for one in recipes:
        if one.claims is None:
            raise AttnzooError(f"`{one.name}` claims nothing", "`attnzoo train` takes recipes without [claims]")
        counted = measure.parameters(build_model(one, one.claims.classes))
        models.append(Model(one, one.claims, counted))
        if counted != one.claims.parameters:
            wrong.append(f"`{one.name}` has {counted:,} parameters, where {one.claims.parameters:,} are claimed")
        else:
            say(f"{one.name}: {counted:,} parameters with {one.claims.classes} outputs, as claimed")
    if wrong:
        raise AttnzooError("; ".join(wrong), "the recipe's model, or its claim, is not the paper's")
    return tuple(models)


def reproduce(
    models: Sequence[Model],
    data: Dataset,
    out: Path | None = None,
    seeds: Sequence[int] | None = None,
    changes: Mapping[str, Any] | None = None,
    setting: Setting | None = None,
) -> Reproduction:
    """Train the models whose claims hold scores, and set ours beside the paper's numbers.

    Args:
        models: As `count` gives them. Those without claimed scores stay untrained.
        data: As `open_dataset` gives it; trained models have as many outputs as it has classes.
        out: Where to write a folder per model and seed, `reproduction.md`, `reproduction.json` and `report/`; by
            default `runs/reproduction-<digest>`.
        seeds: One training of each model for each; by default each recipe's own.
        changes: Overrides of the trained recipes, by path; the counts stay those of the recipes as they are.
        setting: Device, workers, plugins, and who hears of progress.

    Raises:
        AttnzooError: A folder holds another run, or a model is impossible; nothing was trained then.
    """
    setting, changes = setting or Setting(), changes or {}
    models = [replace(model, recipe=model.recipe.override(changes)) for model in models]
    asked = [model for model in models if model.claims.best_validation_dice is not None]
    folder = out or default_folder(replace(models[0].recipe, name="reproduction"), data.digest)
    runs = {model.recipe.name: _runs(model.recipe, seeds) for model in asked}
    every = [run for ours in runs.values() for run in ours]
    left = pending(every, folder, data, setting)
    results = dict(zip(every, execute(every, left, folder, data, setting), strict=True))
    costs = _costs(asked, data, setting)
    finished = [
        replace(model, results=tuple(results[run] for run in runs[model.recipe.name]), cost=costs[model.recipe.name])
        if model in asked
        else model
        for model in models
    ]
    done = _written(folder, finished, data, changes, setting)
    return replace(done, page=_page(folder, data, setting)) if asked else done


def _runs(one: Recipe, seeds: Sequence[int] | None) -> tuple[Run, ...]:
    """A run per seed, in a folder named by the recipe: two recipes may have one attention."""
    return tuple(
        Run(
            spec.parse(one.model.attention),
            seed,
            one.override({"training.seed": seed}),
            f"{one.name}/seed-{seed}",
        )
        for seed in seeds or (one.training.seed,)
    )


def _costs(asked: Sequence[Model], data: Dataset, setting: Setting) -> Mapping[str, Mapping[str, Any]]:
    """Costs of the trained models by recipe, timed in turns, each at the size it was trained at."""
    if not asked:
        return {}
    setting.say(f"timing {len(asked)} models in turns")
    recipes = {model.recipe.name: model.recipe for model in asked}
    measured = measure_arms(recipes, len(data.classes), device=setting.device, progress=setting.progress)
    costs: Mapping[str, Mapping[str, Any]] = measured["arms"]
    return costs


def _written(
    folder: Path, models: Sequence[Model], data: Dataset, changes: Mapping[str, Any], setting: Setting
) -> Reproduction:
    """The tables of finished models, on disk as well."""
    trained = [model for model in models if model.results]
    tables: tuple[report.Table, ...] = (counts(models),)
    notes: tuple[str, ...] = ()
    if trained:
        images = "/".join(str(len(split.samples)) for split in data.splits.values())
        splits, classes = "/".join(data.splits), len(data.classes) - 1
        about = f"`{data.root.name}` ({images} images in {splits}, {classes} classes and background)"
        size = "×".join(map(str, trained[0].recipe.data.image_size))
        device = describe(training.resolve_device(setting.device))
        notes = caveats(trained, about, f"{device} at {size} pixels, batch 1", changes)
        tables += (comparison(trained), consistency(trained))
    text = "\n".join(report.markdown(table) for table in tables)
    write_text(folder / TEXT, f"# {models[0].claims.paper}\n\n{text}" + _listed(notes))
    about_data = {"root": str(data.root.resolve()), "digest": data.digest, "classes": list(data.classes)}
    record = {
        "schema": SCHEMA,
        "models": [asdict(model) for model in models],
        "data": about_data,
        "changes": dict(changes),
        "caveats": notes,
        **environment(),
    }
    write_json(folder / JSON, record)
    return Reproduction(folder, tuple(models), tables, notes)


def _page(folder: Path, data: Dataset, setting: Setting) -> Path | None:
    """The page; the results are safe already, so whatever keeps it from being drawn is told and no more."""
    try:
        return report_page(folder, device=setting.device, data=data.root, say=setting.say)
    except Exception as error:
        why = error.message if isinstance(error, AttnzooError) else f"{type(error).__name__}: {first_line(error)}"
        setting.say(f"warning: no page was drawn: {why}; try again: `attnzoo report {folder}`")
        return None


def _listed(notes: Sequence[str]) -> str:
    return "\nWhat cannot be compared, and why:\n\n" + "".join(f"- {note}\n" for note in notes) if notes else ""
