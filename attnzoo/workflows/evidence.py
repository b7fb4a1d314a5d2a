"""Finished runs → `statistics.Evidence`; what is missing is said, never averaged over. Loads no torch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from attnzoo.data.splits import group_of
from attnzoo.errors import AttnzooError
from attnzoo.statistics import Evidence
from attnzoo.statistics.numbers import COUNTED
from attnzoo.workflows import finished
from attnzoo.workflows.alike import check_alike
from attnzoo.workflows.complete import largest, missing, numbered
from attnzoo.workflows.finished import Finished
from attnzoo.workflows.ratios import LARGEST, METRICS, check_metric, counted, truth, valued
from attnzoo.workflows.record import planned
from attnzoo.workflows.state import state


@dataclass(frozen=True)
class Gathered:
    """What an ablation's folder holds: all whole runs, the evidence of those compared, and what is missing, in words.

    `evidence` is None where nothing can be compared yet; the last of the `gaps` says why then.
    """

    runs: tuple[Finished, ...]
    evidence: Evidence | None
    gaps: tuple[str, ...]


def gather(folders: Sequence[Path], metric: str = "dice", names: Sequence[str] | None = None) -> Evidence:
    """The evidence of finished runs, from one ablation or several, with the same test images.

    Args:
        folders: A run each.
        metric: `dice`, `iou`, `precision` or `recall`, from counts; `hd95`, `nsd` or `ece`, from `scores.csv`.
        names: What each run's arm is called; by default its attention.

    Raises:
        AttnzooError: A run is not finished or half-written; runs cannot be compared; not every arm has every seed.
    """
    check_metric(metric)
    called: Sequence[str | None] = names or [None] * len(folders)
    runs = [finished.read(folder, name) for folder, name in zip(folders, called, strict=True)]
    check_arms(runs)
    check_alike(runs)
    seeds = dict.fromkeys(run.seed for run in runs)
    have = {(run.arm, run.seed) for run in runs}
    for arm in dict.fromkeys(run.arm for run in runs):
        if missing := [seed for seed in seeds if (arm, seed) not in have]:
            raise AttnzooError(
                f"`{arm}` lacks {numbered(missing)}, which other arms have",
                "compare arms at the same seeds: run what is missing, or leave those seeds out",
            )
    return assemble(runs, metric)[0]


def of_ablation(
    folder: Path,
    metric: str = "dice",
    *,
    reference: str = "none",
    arms: Iterable[str] | None = None,
    seeds: Iterable[int] | None = None,
) -> Gathered:
    """What an ablation's folder has to say, finished or not.

    Where arms lack seeds, the largest block of arms × seeds without a hole is compared, that of most arms among equal
    ones; it has the reference, if that has any seed. The choice knows no scores.

    Args:
        folder: Where `attnzoo ablate` writes.
        metric: As in `gather`.
        reference: The arm that is not to be left out.
        arms: Those to look at; by default all that the folder's record plans.
        seeds: As `arms`.

    Raises:
        AttnzooError: The folder is of no ablation, or its runs cannot be compared.
    """
    check_metric(metric)
    runs: list[Finished] = []
    gaps: list[tuple[str, int, str]] = []
    asked = planned(folder, arms, seeds)
    for arm, seed, place in asked:
        run, gap = _read(folder / place, metric)
        if run is not None:
            runs.append(run)
        else:
            gaps.append((arm, seed, gap))
    return select(runs, metric, reference, missing(gaps, len({arm for arm, *_ in asked})))


def select(runs: Sequence[Finished], metric: str, reference: str = "none", gaps: Iterable[str] = ()) -> Gathered:
    """The evidence of the runs that can be compared without a hole; what is left out goes to the `gaps`."""
    gaps = list(gaps)
    chosen: tuple[Finished, ...] = ()
    if runs:
        check_alike(runs)
        chosen, left_out = largest(runs, reference)
        gaps += left_out
    if len({run.arm for run in chosen}) < 2:
        gaps.append("nothing can be compared: fewer than two arms have a finished seed in common")
        return Gathered(tuple(runs), None, tuple(gaps))
    evidence, remarks = assemble(chosen, metric)
    return Gathered(tuple(runs), evidence, (*gaps, *remarks))


def assemble(runs: Sequence[Finished], metric: str) -> tuple[Evidence, tuple[str, ...]]:
    """The evidence of runs that are alike, every arm at every seed; and what is to be remarked of it."""
    order = sorted(runs[0].images)
    arms = tuple(dict.fromkeys(run.arm for run in runs))
    seeds = tuple(dict.fromkeys(run.seed for run in runs))
    at = {(run.arm, run.seed): index for index, run in enumerate(runs)}
    places = np.array([[at[arm, seed] for seed in seeds] for arm in arms])
    there = truth(runs[0], order)
    remarks: tuple[str, ...] = ()
    if metric in COUNTED:
        classes = runs[0].result.classes[1:]
        pairs = [counted(run, metric, order) for run in runs]
        top, bottom = (np.stack([pair[side] for pair in pairs]) for side in (0, 1))
    else:
        classes, top, bottom, there, remarks = valued(runs, metric, order)
    if not there.any():
        raise AttnzooError(
            f"no test image of `{runs[0].folder}` has a pixel of any foreground class, so there is no {metric}",
            "see what `attnzoo data check` says of `test`",
        )
    groups = _groups(runs[0], order)
    ungrouped = runs[0].result.identity["recipe"]["data"]["group_pattern"] is None and len(set(groups)) == len(groups)
    kind = (metric, METRICS[metric], LARGEST.get(metric, 1.0), ungrouped)
    evidence = Evidence(arms, seeds, tuple(order), groups, classes, top[places], bottom[places], there, *kind)
    return evidence, remarks


def check_arms(runs: Sequence[Finished]) -> None:
    """Refuse what needs no statistics.

    Raises:
        AttnzooError: There are fewer than two arms.
    """
    arms = dict.fromkeys(run.arm for run in runs)
    if not runs:
        raise AttnzooError("there is no finished run to compare", "name folders of finished runs")
    if len(arms) == 1:
        raise AttnzooError(
            f"all {len(runs)} runs are of one arm, `{runs[0].arm}`: there is nothing to compare it with"
            if len(runs) > 1
            else f"`{runs[0].folder}` is a single run, of `{runs[0].arm}`: there is nothing to compare it with",
            "name runs of another attention as well",
        )


def _read(folder: Path, metric: str) -> tuple[Finished | None, str]:
    """A run, or what is the matter with it."""
    if (now := state(folder)).word != "finished":
        return None, str(now)
    try:
        run = finished.read(folder)
        if metric not in COUNTED:
            finished.values(run, metric)
        return run, ""
    except AttnzooError as error:
        return None, f"cannot be used: {error.message}"


def _groups(run: Finished, order: Sequence[str]) -> tuple[str, ...]:
    """The group of each image, as a run says it; an image without a pixel of any class may be in no table of its."""
    known = finished.groups(run)
    pattern = run.result.identity["recipe"]["data"]["group_pattern"]
    return tuple(known[image] if image in known else group_of(image, pattern) for image in order)
