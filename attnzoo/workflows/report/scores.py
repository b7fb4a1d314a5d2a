"""The page's other tables: class by class, by size, images with nothing, and further scores."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from attnzoo import metrics, statistics
from attnzoo.errors import AttnzooError
from attnzoo.report import Table
from attnzoo.report.page import tables
from attnzoo.report.page.numbers import count
from attnzoo.statistics.numbers import COUNTED
from attnzoo.workflows.evidence import Gathered, select
from attnzoo.workflows.report.folder import Folder, recorded

OTHERS = {
    "iou": "IoU",
    "precision": "Precision",
    "recall": "Recall",
    "hd95": "HD95: the 95th percentile of the distances between outlines, in pixels",
    "nsd": "NSD: the share of both outlines within the tolerance",
    "ece": "Expected calibration error, mean over images",
}


def by_class(gathered: Gathered, reference: str) -> tuple[Table, ...]:
    """Each class alone."""
    if gathered.evidence is None:
        return ()
    return tables.parts(statistics.by_class(gathered.evidence, reference), "class")


def by_size(gathered: Gathered, reference: str) -> tuple[Table, ...]:
    """Each tercile of true sizes alone: a pair of image and class is in it by its number of true pixels."""
    evidence = gathered.evidence
    if evidence is None:
        return ()
    run = gathered.runs[0]
    order = [run.images.index(image) for image in evidence.images]
    true = run.matrices[order].sum(2)[:, 1:]
    found, notes = {}, []
    for name, stratum in metrics.strata(run.matrices, run.result.classes).items():
        mask = (true >= stratum["from_pixels"]) & (true <= stratum["to_pixels"])
        if not mask.any():
            continue
        found[name] = statistics.compare(evidence.where(mask), reference)
        notes.append(
            f"{name}: {stratum['from_pixels']:,} to {stratum['to_pixels']:,} true pixels, "
            f"{stratum['pairs']} pairs of image and class, {stratum['averaged']} classes"
        )
    return tables.parts(found, "size", notes)


def without_any(folder: Folder) -> tuple[Table, ...]:
    """What is found in test images whose truth has no foreground: a number for each seed."""
    counted = {(run.arm, run.seed): metrics.empty_images(run.matrices) for run in folder.runs}
    images = next(iter(counted.values()))["images"]
    if not images:
        return ()
    rows = []
    for arm in dict.fromkeys(run.arm for run in folder.runs):
        ours = [one for (name, _), one in counted.items() if name == arm]
        rows.append((arm, *(" ".join(f"{one[of]:,}" for one in ours) for of in list(ours[0])[1:])))
    header = ("attention", "images with something found", "pixels found")
    note = f"{count(images, 'test image')} without foreground, where all that is found is wrong"
    return (Table(header, tuple(rows), "Images with nothing, a number for each seed", (note,)),)


def others(folder: Folder, gathered: Gathered, reference: str) -> tuple[tuple[Table, ...], tuple[str, ...]]:
    """A table for each further score; and a sentence for each that cannot be compared. Runs of an earlier attnzoo have
    fewer scores: such a run is left out where the others have one, and that is said."""
    made: list[Table] = []
    gaps: list[str] = []
    known = {run.folder: recorded(run) for run in folder.runs}
    for metric, words in OTHERS.items():
        runs = [run for run in folder.runs if metric in COUNTED or metric in known[run.folder]]
        if not runs:
            continue
        lacking = [run for run in folder.runs if run not in runs]
        remarks = [f"left out, for they have no such score: {', '.join(map(str, lacking))}"] if lacking else []
        try:
            found = select(runs, metric, reference)
            if found.evidence is None or reference not in found.evidence.arms:
                gaps.append(f"{words}: {found.gaps[-1] if found.gaps else f'`{reference}` has none'}")
                continue
            if metric in ("hd95", "nsd"):
                remarks.append(_rule(runs[0].result.test.get("boundaries", {})))
            remarks += [gap for gap in found.gaps if gap not in gathered.gaps]
            made.append(tables.other(statistics.compare(found.evidence, reference), words, remarks))
        except AttnzooError as error:
            gaps.append(f"{words}: {error.message}")
    return tuple(made), tuple(gaps)


def _rule(boundaries: Mapping[str, Any]) -> str:
    """How distances were computed, as a result says it."""
    told = [f"{boundaries[of]}" for of in ("empty", "implementation") if of in boundaries]
    tolerance = f"tolerance {boundaries['tolerance']:g} pixels; " if "tolerance" in boundaries else ""
    return tolerance + "; ".join(told)


def calibration(folder: Folder) -> dict[str, Sequence[Sequence[dict[str, Any]]]]:
    """By arm the bins of its seeds, where all finished runs have them and any has a pixel."""
    found: dict[str, list[Sequence[dict[str, Any]]]] = {}
    for run in folder.runs:
        bins = run.result.test.get("calibration", {}).get("bins")
        if not bins or not np.any([one["pixels"] for one in bins]):
            return {}
        found.setdefault(run.arm, []).append(bins)
    return {arm: tuple(seeds) for arm, seeds in found.items()}
