"""A comparison of arms → a table of verdicts, and sentences with what stands beside them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attnzoo.report.page.numbers import chance, percent, plain, shown, signed, span
from attnzoo.report.page.verdicts import measured
from attnzoo.report.table import Table

if TYPE_CHECKING:
    from attnzoo.statistics import Arm, Comparison


def verdicts(comparison: "Comparison", notes: Sequence[str] = ()) -> Table:
    """A row per arm: score, difference to the reference, both with intervals, corrected p, effect, what could be shown.

    `notes` come before the one on how all of it was computed.
    """
    what = measured(comparison.metric)
    header = (
        "attention",
        f"{what} [{percent(comparison.level)} interval]",
        f"Δ to {comparison.reference} [interval]",
        "p (Holm)",
        "effect",
        "smallest Δ",
        "verdict",
    )
    counts = ((comparison.groups, "group"), (comparison.images, "image"), (comparison.seeds, "seed"))
    numbers = ", ".join(f"{number} {word}{'s' * (number != 1)}" for number, word in counts)
    classes = len(comparison.classes)
    better = "" if comparison.higher_is_better else "; less is better"
    return Table(
        header,
        tuple(_row(arm, 4 if comparison.metric != "hd95" else 2) for arm in comparison.arms),
        f"{what} on the test set, against {comparison.reference}",
        (
            f"{numbers} of every arm; mean over {classes} class{'es' * (classes != 1)}{better}",
            "effect: mean / SD of the groups' differences; smallest Δ: what this could have shown, four times of five",
            *notes,
            comparison.method,
        ),
        align="lrrrrrl",
    )


def sentences(comparison: "Comparison") -> tuple[str, ...]:
    """A verdict in words for each arm, each with its own cautions; below, those that hold for all of them."""
    said = []
    for arm in comparison.arms:
        if (found := arm.difference) is not None:
            own = [caution for caution in found.cautions if caution not in comparison.cautions]
            said.append("; but beware: ".join([f"{found.words[:1].upper()}{found.words[1:].rstrip('.')}", *own]) + ".")
    return (*said, *(f"Beware: {caution}." for caution in comparison.cautions))


def _row(arm: "Arm", digits: int) -> tuple[str, ...]:
    score = f"{plain(arm.score.estimate, digits)} {span(arm.score.low, arm.score.high, digits)}"
    if (found := arm.difference) is None:
        return (arm.name, score, "", "", "", "", "reference")
    inside = found.interval
    return (
        arm.name,
        score,
        f"{signed(inside.estimate, digits)} {span(inside.low, inside.high, digits, sign=True)}",
        chance(found.p_holm),
        signed(found.effect, 2),
        shown(found.smallest, digits),
        found.verdict,
    )
