"""The folder of an ablation or a reproduction → what is in it, and what is not. Reads, and averages nothing."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from attnzoo.errors import AttnzooError
from attnzoo.results import RUN, SCORES, Result, read_json
from attnzoo.workflows import finished
from attnzoo.workflows.complete import missing
from attnzoo.workflows.finished import Finished
from attnzoo.workflows.state import state

ABLATION, REPRODUCTION, COST = "ablation.json", "reproduction.json", "cost.json"
SCHEMA = 1

Costs = Mapping[str, Mapping[str, Any]]
_Plan = list[tuple[str, int, str]]


@dataclass(frozen=True)
class Folder:
    """What was planned and what is there.

    `arms` are spellings, or in a reproduction names of recipes, in the order of the plan; results are called by them.
    `record` is the folder's own: data, machine, versions, commit, command. `gaps` says what is missing, in words.
    """

    path: Path
    title: str
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    runs: tuple[Finished, ...]
    costs: Costs
    record: Mapping[str, Any]
    gaps: tuple[str, ...]
    reproduction: bool = False

    @property
    def results(self) -> tuple[Result, ...]:
        """The results that are there, in the order of the plan."""
        return tuple(run.result for run in self.runs)

    def first(self, arm: str) -> Finished | None:
        """An arm's finished run of the smallest seed."""
        return min((run for run in self.runs if run.arm == arm), key=lambda run: run.seed, default=None)


def recorded(run: Finished) -> frozenset[str]:
    """The metrics of a run's `scores.csv`."""
    with (run.folder / SCORES).open(encoding="utf-8", newline="") as file:
        return frozenset(row["metric"] for row in csv.DictReader(file))


def read(path: Path) -> Folder:
    """Read a folder that `attnzoo ablate` or `attnzoo reproduce` wrote, finished or not.

    Raises:
        AttnzooError: It is none, or no run in it is finished.
    """
    if not path.is_dir():
        raise AttnzooError(f"there is no folder `{path}`", "check the path")
    record, reproduction = _record(path)
    gaps: list[str] = []
    if reproduction:
        title, planned, costs = _reproduction(path, record)
    else:
        title, planned = str(record["recipe"]), [(run["arm"], run["seed"], run["folder"]) for run in record["runs"]]
        costs = _costs(path, gaps)
    runs, lacking = [], []
    for arm, seed, folder in planned:
        run, gap = _run(path / folder, arm)
        if run is not None:
            runs.append(run)
        else:
            lacking.append((arm, seed, gap))
    if not runs:
        raise AttnzooError(f"`{path}` holds no finished run", "finish it: run the same command again")
    arms, seeds = dict.fromkeys(arm for arm, _, _ in planned), dict.fromkeys(seed for _, seed, _ in planned)
    gaps += missing(lacking, len(arms))
    there = {run.arm for run in runs}
    gaps += [f"the arm `{arm}` has no finished run, so nothing is said of it" for arm in arms if arm not in there]
    untimed = ", ".join(f"`{arm}`" for arm in arms if arm in there and arm not in costs)
    if costs and untimed:
        gaps.append(f"no cost was measured of {untimed}: MACs and FPS are missing there")
    return Folder(path, title, tuple(arms), tuple(seeds), tuple(runs), costs, record, tuple(gaps), reproduction)


def _record(path: Path) -> tuple[Mapping[str, Any], bool]:
    """The folder's own record, and whether it is that of a reproduction."""
    reproduction = (path / REPRODUCTION).exists() and not (path / ABLATION).exists()
    name, key = (REPRODUCTION, "models") if reproduction else (ABLATION, "runs")
    hint = "give the folder that `attnzoo ablate` or `attnzoo reproduce` wrote"
    if (path / RUN).exists():
        hint = f"it is a single run: give its ablation's folder, maybe `{path.parent.parent}`"
    record = read_json(path / name, f"`{path}` holds no ablation: there is no `{ABLATION}`", hint)
    if record.get("schema") != SCHEMA or not record.get(key):
        raise AttnzooError(f"`{path / name}` is not of schema {SCHEMA}", "give another folder")
    return record, reproduction


def _reproduction(path: Path, record: Mapping[str, Any]) -> tuple[str, _Plan, Costs]:
    """The trained models: title, runs, costs; called by their recipes, of which two may have one attention."""
    trained = [model for model in record["models"] if model["results"]]
    if not trained:
        raise AttnzooError(f"the models in `{path}` were counted, and none was trained", "see `reproduction.md` there")
    runs = [
        (model["recipe"]["name"], result["seed"], f"{model['recipe']['name']}/seed-{result['seed']}")
        for model in trained
        for result in model["results"]
    ]
    costs = {model["recipe"]["name"]: model["cost"] for model in trained if model["cost"]}
    return str(trained[0]["claims"]["paper"]), runs, costs


def _costs(path: Path, gaps: list[str]) -> Costs:
    try:
        costs: Costs = read_json(path / COST, f"`{COST}` is missing", "run the same command again")["arms"]
    except AttnzooError as error:
        gaps.append(f"{error.message}: MACs and FPS are missing")
        return {}
    return costs


def _run(folder: Path, arm: str) -> tuple[Finished | None, str]:
    """A run, called by its arm; or what is the matter with it."""
    if (now := state(folder)).word != "finished":
        return None, str(now)
    try:
        run = finished.read(folder, arm)
    except AttnzooError as error:
        return None, f"is left out: {error.message}"
    return replace(run, result=replace(run.result, attention=arm)), ""
