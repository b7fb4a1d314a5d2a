"""Plan → rehearse → run → table: the same recipe and data with each attention, over seeds."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attnzoo import report, spec
from attnzoo.data.dataset import Dataset
from attnzoo.errors import AttnzooError
from attnzoo.recipe import Recipe
from attnzoo.results import Result, environment, read_json, write_json, write_text
from attnzoo.training.tables import SCORES
from attnzoo.workflows.bench import measure_arms
from attnzoo.workflows.execute import Setting, execute, finished, pending
from attnzoo.workflows.plan import Run, default_folder, plan

FILE = "ablation.json"
COST = "cost.json"
SCHEMA = 1


@dataclass(frozen=True)
class Ablation:
    """A finished ablation: its folder, a result per run in the order of the plan, costs by arm, and the table."""

    folder: Path
    results: tuple[Result, ...]
    costs: Mapping[str, Mapping[str, Any]]
    table: report.Table


def ablate(
    recipe: Recipe,
    arms: Sequence[spec.Attention],
    seeds: Sequence[int],
    data: Dataset,
    out: Path | None = None,
    setting: Setting | None = None,
) -> Ablation:
    """Train every arm at every seed, and compare.

    A run that is finished in `out` is not run again: an interrupted ablation goes on by the same call, and arms and
    seeds can be added. Tables hold the arms and seeds of this call.

    Args:
        recipe: What all runs share; its attention and seed are replaced.
        arms: A model each; `none` is not added here (`plan.with_baseline`).
        seeds: One run of each arm for each.
        data: As `open_dataset` gives it by this recipe's options.
        out: Where to write; by default `plan.default_folder`.
        setting: Device, workers, plugins, and who hears of progress.

    Raises:
        AttnzooError: `out` holds runs of another recipe or other data, or an arm is impossible; told before training.
    """
    setting = setting or Setting()
    runs = plan(recipe, arms, seeds)
    folder = out or default_folder(recipe, data.digest)
    known = _recorded(folder, recipe)
    for run in known:
        finished(run, folder, data, setting)  # refuses, although none of them may be asked for now
    left = pending(runs, folder, data, setting)
    _record(folder, recipe, data, (*known, *runs))
    results = execute(runs, left, folder, data, setting)
    costs = _costs(runs, folder, data, setting, again=bool(left))
    images = "/".join(str(len(split.samples)) for split in data.splits.values())
    about = f"recipe {recipe.name}; data {data.root.name}, {images} images in {'/'.join(data.splits)}"
    table = report.ablation(results, costs, (about,))
    write_text(folder / "table.md", report.markdown(table))
    write_text(folder / "table.tex", report.latex(table))
    for kind in ("svg", "pdf"):
        (folder / f"cost.{kind}").write_bytes(report.figures.gain(results, costs, kind))
    write_text(folder / "results.csv", report.to_csv(report.result_rows(results)))
    write_text(folder / SCORES, report.to_csv(_scores(runs, folder)))
    return Ablation(folder, results, costs, table)


def _recorded(folder: Path, recipe: Recipe) -> tuple[Run, ...]:
    """The runs that earlier calls planned in this folder, with the recipe of now."""
    if not (folder / FILE).exists():
        return ()
    record = read_json(folder / FILE, f"there is no `{folder / FILE}`", "give another folder")
    if record.get("schema") != SCHEMA:
        raise AttnzooError(f"`{folder / FILE}` is not of schema {SCHEMA}", "give another folder")
    return tuple(run for one in record["runs"] for run in plan(recipe, [spec.parse(one["arm"])], [one["seed"]]))


def _record(folder: Path, recipe: Recipe, data: Dataset, runs: Sequence[Run]) -> None:
    """Write down what is going to be run, before the first run."""
    record = {
        "schema": SCHEMA,
        "recipe": recipe.name,
        "data": {
            "root": str(data.root.resolve()),
            "format": data.format,
            "digest": data.digest,
            "classes": list(data.classes),
            "images": {name: len(split.samples) for name, split in data.splits.items()},
        },
        "runs": [{"arm": str(run.attention), "seed": run.seed, "folder": run.folder} for run in dict.fromkeys(runs)],
        **environment(),
    }
    write_json(folder / FILE, record)


def _costs(
    runs: Sequence[Run], folder: Path, data: Dataset, setting: Setting, *, again: bool
) -> Mapping[str, Mapping[str, Any]]:
    """Costs by arm, timed interleaved once all runs are done; kept where nothing is new."""
    first = {str(run.attention): run.recipe for run in runs}
    if not again and (folder / COST).exists():
        kept = read_json(folder / COST, f"there is no `{folder / COST}`", "run the same command again")
        if first.keys() <= kept["arms"].keys():
            return {arm: kept["arms"][arm] for arm in first}
    setting.say(f"timing {len(first)} models in turns")
    measured = measure_arms(first, len(data.classes), device=setting.device, progress=setting.progress)
    write_json(folder / COST, measured)
    costs: Mapping[str, Mapping[str, Any]] = measured["arms"]
    return costs


def _scores(runs: Sequence[Run], folder: Path) -> list[dict[str, report.Cell]]:
    """Every run's scores of images, with its arm and seed in front."""
    rows: list[dict[str, report.Cell]] = []
    for run in runs:
        with (folder / run.folder / SCORES).open(encoding="utf-8", newline="") as file:
            rows += [{"arm": str(run.attention), "seed": run.seed, **row} for row in csv.DictReader(file)]
    return rows
