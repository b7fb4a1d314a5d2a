"""Finished runs from anywhere, with the same test images → verdicts. Loads no torch."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from attnzoo import statistics
from attnzoo.errors import AttnzooError
from attnzoo.statistics import Comparison
from attnzoo.workflows import finished
from attnzoo.workflows.complete import missing
from attnzoo.workflows.evidence import check_arms, select
from attnzoo.workflows.finished import Finished
from attnzoo.workflows.naming import differing, named
from attnzoo.workflows.ratios import check_metric
from attnzoo.workflows.record import FILE, planned
from attnzoo.workflows.state import state


@dataclass(frozen=True)
class Compared:
    """Verdicts on runs, and what is missing or stands in the way of comparing them, in words."""

    comparison: Comparison
    runs: tuple[Finished, ...]
    gaps: tuple[str, ...]


def compare(
    places: Sequence[Path],
    *,
    against: str | None = None,
    metric: str = "dice",
    margin: float | None = None,
    level: float = 0.95,
    names: Sequence[str] = (),
) -> Compared:
    """Compare finished runs, paired by test image.

    Args:
        places: Folders of runs, or folders that hold runs, such as an ablation's or one of its arms'.
        against: The reference arm; by default `none` if it is there, else the first.
        metric: `dice`, `iou`, `precision`, `recall`, `hd95`, `nsd` or `ece`.
        margin: A difference that would not matter, in units of the metric.
        level: Of the intervals.
        names: What each place's arm is called; without them its attention, and what differs where that is not enough.

    Raises:
        AttnzooError: A place holds no finished run; runs have other test images, data, classes or scoring; there is one
            arm alone, or none that has a seed in common with another.
    """
    check_metric(metric)
    runs, gaps = _collected(places, names)
    check_arms(runs)
    reference = against or _reference(runs)
    return judge(runs, metric, reference, gaps=(*gaps, *differing(runs)), margin=margin, level=level)


def judge(
    runs: Sequence[Finished],
    metric: str,
    reference: str,
    *,
    gaps: Sequence[str] = (),
    margin: float | None = None,
    level: float = 0.95,
) -> Compared:
    """Verdicts on runs that were read, those that can be compared without a hole among them.

    Raises:
        AttnzooError: As `compare`.
    """
    gathered = select(runs, metric, reference, gaps)
    if gathered.evidence is None:
        raise AttnzooError(gathered.gaps[-1], "run arms at the same seeds: `--seeds 0,1,2`")
    comparison = statistics.compare(gathered.evidence, reference, margin=margin, level=level)
    return Compared(comparison, gathered.runs, gathered.gaps)


def record(compared: Compared) -> dict[str, Any]:
    """A comparison ready for JSON; what is no finite number is None, and said in words beside it."""
    runs = [{"arm": run.arm, "seed": run.seed, "folder": str(run.folder)} for run in compared.runs]
    plain: dict[str, Any] = _finite({"schema": 1, **asdict(compared.comparison), "gaps": compared.gaps, "runs": runs})
    return plain


def _collected(places: Sequence[Path], names: Sequence[str]) -> tuple[list[Finished], list[str]]:
    """All finished runs of the places, each once, with the names of their arms; and what is not finished."""
    if names and len(names) != len(places):
        raise AttnzooError(
            f"{len(names)} names do not fit {len(places)} runs", "give `--name` once for each, in their order"
        )
    runs: dict[Path, Finished] = {}
    gaps: list[str] = []
    for number, place in enumerate(places):
        found, lacking = _in(place)
        gaps += lacking
        if names:
            several = len({run.arm for run in found}) > 1
            found = [replace(run, arm=f"{names[number]}: {run.arm}" if several else names[number]) for run in found]
        for run in found:
            runs.setdefault(run.folder.resolve(), run)
    return (list(runs.values()) if names else named(list(runs.values()))), gaps


def _in(place: Path) -> tuple[list[Finished], list[str]]:
    """The finished runs of one place, and what is missing of those that an ablation planned."""
    if not (place / FILE).is_file():
        return [finished.read(folder) for folder in finished.below(place)], []
    runs, gaps = [], []
    asked = planned(place)
    for arm, seed, folder in asked:
        if (now := state(place / folder)).word == "finished":
            runs.append(finished.read(place / folder))
        else:
            gaps.append((arm, seed, str(now)))
    if not runs:
        finished.below(place)
    return runs, [f"`{place}`: {gap}" for gap in missing(gaps, len({arm for arm, *_ in asked}))]


def _reference(runs: Sequence[Finished]) -> str:
    arms = dict.fromkeys(run.arm for run in runs)
    return "none" if "none" in arms else next(iter(arms))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
