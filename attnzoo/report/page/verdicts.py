"""A comparison → what the page says first."""

from typing import TYPE_CHECKING, Literal

from attnzoo.report.page.contents import Verdict
from attnzoo.report.page.numbers import percent, plain, span

if TYPE_CHECKING:
    from attnzoo.statistics import Arm, Comparison

_KINDS: dict[str, Literal["gain", "loss", "none", "equivalent"]] = {
    "gain": "gain",
    "loss": "loss",
    "no difference shown": "none",
    "equivalent": "equivalent",
}
_NAMES = {"dice": "Dice", "iou": "IoU", "hd95": "HD95", "nsd": "NSD", "ece": "ECE"}


def verdicts(comparison: "Comparison") -> tuple[Verdict, ...]:
    """A sentence for each arm: the reference first, then the others in the order of the comparison.

    Cautions are the arm's own: those of the whole comparison stand above all verdicts.
    """
    first = [_reference(comparison, arm) for arm in comparison.arms if arm.difference is None]
    others = [
        Verdict(arm.name, _KINDS[found.verdict], found.verdict, found.words, _own(comparison, found.cautions))
        for arm in comparison.arms
        if (found := arm.difference) is not None
    ]
    return (*first, *others)


def _own(comparison: "Comparison", cautions: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(one for one in cautions if one not in comparison.cautions)


def measured(metric: str) -> str:
    """What a metric is called: `Dice`."""
    return _NAMES.get(metric, metric)


def _reference(comparison: "Comparison", arm: "Arm") -> Verdict:
    score = f"{measured(comparison.metric)} {plain(arm.score.estimate)}"
    interval = span(arm.score.low, arm.score.high)
    words = f"What all others are compared with: {score}, {percent(comparison.level)} interval {interval}."
    return Verdict(arm.name, "reference", "reference", words)
