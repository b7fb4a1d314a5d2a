"""Plan → rehearse → run → table: the same recipe and data with each attention, over seeds."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from attnzoo import report, spec
from attnzoo.data.dataset import Dataset
from attnzoo.errors import AttnzooError, did_you_mean, listing
from attnzoo.recipe import Recipe
from attnzoo.results import SCORES, Result, read_json, write_json, write_text
from attnzoo.statistics.numbers import count
from attnzoo.workflows import record
from attnzoo.workflows.bench import measure_arms
from attnzoo.workflows.compare import Compared, judge
from attnzoo.workflows.compare import record as as_record
from attnzoo.workflows.execute import Failure, Outcome, Setting, finished, pending, tried
from attnzoo.workflows.finished import read
from attnzoo.workflows.plan import Run, default_folder, plan
from attnzoo.workflows.state import in_use

COST = "cost.json"


@dataclass(frozen=True)
class Ablation:
    """A finished ablation: its folder, a result per run in the order of the plan, costs by arm, and the table.

    `failures` has by run (`ema, seed 0`) why it has no result; arms with one are neither in `results` nor in the table.
    `compared` is None where there are no two arms with all their runs.
    """

    folder: Path
    results: tuple[Result, ...]
    costs: Mapping[str, Mapping[str, Any]]
    table: report.Table
    failures: Mapping[str, Failure] = field(default_factory=dict)
    compared: Compared | None = None


def ablate(
    recipe: Recipe,
    arms: Sequence[spec.Attention],
    seeds: Sequence[int],
    data: Dataset,
    out: Path | None = None,
    setting: Setting | None = None,
    *,
    timed: bool = True,
    against: str | None = None,
    margin: float | None = None,
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
        setting: Device, workers, plugins, jobs at a time, and who hears of progress.
        timed: Whether to time all arms, in turns, once the last run is done and no other process is at one.
        against: The arm that the verdicts compare with; by default `none`, or without it the first.
        margin: A difference in Dice that would not matter: arms within it can be called equivalent.

    Raises:
        AttnzooError: `out` holds runs of another recipe or other data, or an arm is impossible; told before training.
            Or no arm could be finished.
    """
    setting = setting or Setting()
    _check_question(arms, against, margin)
    runs = plan(recipe, arms, seeds)
    folder = out or default_folder(recipe, data.digest)
    known = _recorded(folder, recipe)
    for run in known:
        finished(run, folder, data, setting)  # refuses, although none of them may be asked for now
    left = pending(runs, folder, data, setting)
    record.add(folder, recipe, data, runs)
    outcomes = tried(runs, left, folder, data, setting)
    failures = {str(run): outcome for run, outcome in outcomes.items() if isinstance(outcome, Failure)}
    whole = _whole(runs, outcomes)
    results = tuple(outcome for run in whole if isinstance(outcome := outcomes[run], Result))
    costs = _costs(whole, folder, data, setting, again=bool(left), timed=timed)
    images = "/".join(str(len(split.samples)) for split in data.splits.values())
    about = f"recipe {recipe.name}; data {data.root.name}, {images} images in {'/'.join(data.splits)}"
    lacking = tuple(f"{run} failed: {failure.message}" for run, failure in failures.items())
    table = report.ablation(results, costs, (*lacking, about))
    write_text(folder / "table.md", report.markdown(table))
    write_text(folder / "table.tex", report.latex(table))
    if costs:
        for kind in ("svg", "pdf"):
            (folder / f"cost.{kind}").write_bytes(report.figures.gain(results, costs, kind))
    else:
        _remove(folder, "cost.svg", "cost.pdf")
    write_text(folder / "results.csv", report.to_csv(report.result_rows(results)))
    write_text(folder / SCORES, report.to_csv(_scores(whole, folder)))
    compared = _compared(whole, folder, against, margin, setting)
    if compared is None:
        _remove(folder, "verdicts.json", "verdicts.md")
    asked = {(str(run.attention), run.seed) for run in runs}
    if beside := [place for arm, seed, place in record.planned(folder) if (arm, seed) not in asked]:
        which = f"{count(len(beside), 'other run')} of this folder"
        setting.say(f"tables and verdicts hold this call's arms and seeds; `attnzoo report {folder}` has {which} too")
    return Ablation(folder, results, costs, table, failures, compared)


def _remove(folder: Path, *files: str) -> None:
    """Drop what an earlier call wrote of its own arms, where this one has nothing to put in its place."""
    for file in files:
        (folder / file).unlink(missing_ok=True)


def _whole(runs: Sequence[Run], outcomes: Mapping[Run, Outcome]) -> tuple[Run, ...]:
    """The runs of arms that have every seed: a mean over other seeds would not compare."""
    failed = {run.attention: outcome for run, outcome in outcomes.items() if isinstance(outcome, Failure)}
    whole = tuple(run for run in runs if run.attention not in failed)
    if not whole:
        first = next(iter(failed.values()))
        raise AttnzooError(f"no arm has all its runs: {first.message}", first.hint)
    return whole


def _check_question(arms: Sequence[spec.Attention], against: str | None, margin: float | None) -> None:
    """What cannot be asked of these arms is refused before anything is trained."""
    names = [str(arm) for arm in arms]
    if against is not None and against not in names:
        raise AttnzooError(
            f"`{against}` is no arm of this ablation",
            did_you_mean(against, names) or f"arms: {listing(names, last='and')}",
        )
    if margin is not None and not 0 < margin < math.inf:
        raise AttnzooError(f"`{margin}` is no margin, which is above 0", "it is the difference that would not matter")


def _compared(
    runs: Sequence[Run], folder: Path, against: str | None, margin: float | None, setting: Setting
) -> Compared | None:
    """Verdicts on the arms that have all their runs, kept as JSON and as text."""
    if len({run.attention for run in runs}) < 2:
        return None
    names = [str(run.attention) for run in runs]
    reference = against if against in names else "none" if "none" in names else names[0]
    if against not in (None, reference):
        setting.say(f"`{against}` has not all its runs: compared with `{reference}` instead")
    try:
        every = [read(folder / run.folder, str(run.attention)) for run in runs]
        compared = judge(every, "dice", reference, margin=margin)
    except AttnzooError as error:
        setting.say(f"no verdicts: {error.message}")
        return None
    write_json(folder / "verdicts.json", as_record(compared))
    lines = "".join(f"- {line}\n" for line in report.sentences(compared.comparison))
    table = report.verdicts(compared.comparison, compared.gaps)
    write_text(folder / "verdicts.md", f"{lines}\n{report.markdown(table)}")
    return compared


def _recorded(folder: Path, recipe: Recipe) -> tuple[Run, ...]:
    """The runs that earlier calls planned in this folder, with the recipe of now."""
    if not (folder / record.FILE).exists():
        return ()
    return tuple(run for arm, seed, _ in record.planned(folder) for run in plan(recipe, [spec.parse(arm)], [seed]))


def _costs(
    runs: Sequence[Run], folder: Path, data: Dataset, setting: Setting, *, again: bool, timed: bool
) -> Mapping[str, Mapping[str, Any]]:
    """Costs by arm, timed interleaved once all runs are done; kept where nothing is new, or nothing can be timed."""
    first = {str(run.attention): run.recipe for run in runs}
    kept: dict[str, Any] = {}
    if (folder / COST).exists():
        kept = read_json(folder / COST, f"there is no `{folder / COST}`", "run the same command again")["arms"]
    busy = any(in_use(folder / place) for _, _, place in record.planned(folder))
    if busy and timed:
        setting.say(
            "not timed: other processes still train here; the same command, once they have ended, times all arms"
        )
    if busy or not timed or (not again and first.keys() <= kept.keys()):
        return {arm: kept[arm] for arm in first if arm in kept}
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
