"""A comparison → the page's tables: all arms, parts of the test set, and other scores."""

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attnzoo.report.page.numbers import chance, count, percent, plain, shown, signed, span
from attnzoo.report.page.verdicts import measured
from attnzoo.report.table import UNDEFINED, Table, number, si

if TYPE_CHECKING:
    from attnzoo.statistics import Arm, Comparison


_SMALLEST = "smallest Δ: the smallest difference that this many groups and seeds show in four of five experiments"


def arms(comparison: "Comparison", parameters: Mapping[str, int], costs: Mapping[str, Mapping[str, Any]]) -> Table:
    """A row per arm: score, difference with interval and p, the smallest difference to be shown, and what it costs.

    Args:
        comparison: Of all arms.
        parameters: Of the trained models, by arm.
        costs: Rows of `attnzoo.measure.compare`, by arm; an arm without one has no MACs and FPS.
    """
    interval = f"{percent(comparison.level)} interval"
    header = (
        "attention",
        f"{measured(comparison.metric)}{' ± sd' * (comparison.seeds > 1)}",
        interval,
        f"Δ to {comparison.reference}",
        interval,
        "p (Holm)",
        "smallest Δ",
        "parameters",
        "MACs",
        "FPS",
    )
    rows = []
    for arm in comparison.arms:
        cost = costs.get(arm.name, {})
        rows.append(
            (
                arm.name,
                _spread(arm),
                span(arm.score.low, arm.score.high),
                *_difference(arm),
                number(parameters.get(arm.name), 0),
                si(cost.get("macs")),
                number(cost.get("fps"), 1),
            )
        )
    return Table(header, tuple(rows), f"All arms: {_about(comparison)}", (*_counted(comparison), _SMALLEST))


def caption(comparison: "Comparison") -> tuple[str, ...]:
    """What a printed table of the arms says of n, spread, interval, test and correction."""
    return (
        *_counted(comparison),
        f"Δ and its interval are to {comparison.reference}",
        f"p (Holm): corrected over the {len(comparison.arms) - 1} comparisons",
        _SMALLEST,
        comparison.method[:1].lower() + comparison.method[1:].rstrip("."),
    )


def parts(found: Mapping[str, "Comparison"], of: str, notes: Sequence[str] = ()) -> tuple[Table, ...]:
    """Two tables, arms by parts of the test set: scores, and differences with their intervals.

    Args:
        found: A comparison for each part, by its name.
        of: What the parts are: `class`, `size`.
        notes: What is to be said of the parts.
    """
    if not found:
        return ()
    first = next(iter(found.values()))
    names = [arm.name for arm in first.arms]
    by = [{arm.name: arm for arm in one.arms} for one in found.values()]
    scores = [(name, *(plain(arms[name].score.estimate, 3) for arms in by)) for name in names]
    differences = [(name, *(_short(arms[name]) for arms in by)) for name in names if name != first.reference]
    header, what = ("attention", *found), measured(first.metric)
    tests = len(found) * len(differences)
    note = (
        f"intervals at {percent(first.level)}, each {of} alone; p is corrected over arms and not over the "
        f"{len(found)} {'sizes' if of == 'size' else 'classes'}: of {tests} intervals about "
        f"{tests * (1 - first.level):.2g} miss 0 by chance"
    )
    shown = tuple(
        f"{name}: {arm.difference.verdict} of {arm.name}, p (Holm) {chance(arm.difference.p_holm)}"
        for name, one in found.items()
        for arm in one.arms
        if arm.difference is not None and arm.difference.verdict in ("gain", "loss")
    )
    nothing = f"in no {of} is a gain or a loss shown"
    return (
        Table(header, tuple(scores), f"{what} by {of}, mean over seeds", tuple(notes)),
        Table(header, tuple(differences), f"Difference to {first.reference} by {of}", (note, *(shown or (nothing,)))),
    )


def other(comparison: "Comparison", words: str, remarks: Sequence[str] = ()) -> Table:
    """A row per arm of another score: value, difference, interval and p."""
    interval = f"{percent(comparison.level)} interval"
    header = ("attention", measured(comparison.metric), interval, f"Δ to {comparison.reference}", interval, "p (Holm)")
    digits = 2 if comparison.metric == "hd95" else 4
    rows = tuple(
        (
            arm.name,
            plain(arm.score.estimate, digits),
            span(arm.score.low, arm.score.high, digits),
            *_difference(arm, digits)[:3],
        )
        for arm in comparison.arms
    )
    better = "more is better" if comparison.higher_is_better else "less is better"
    return Table(header, rows, f"{words} ({better})", (_counted(comparison)[0], *remarks))


def _about(comparison: "Comparison") -> str:
    classes_ = count(len(comparison.classes), "class")
    return f"{measured(comparison.metric)} on the test set, mean over {classes_}"


def _counted(comparison: "Comparison") -> tuple[str, ...]:
    groups, images = count(comparison.groups, "group"), count(comparison.images, "image")
    n = f"n = {groups}, {images}, {count(comparison.seeds, 'seed')} per arm"
    return (n, "sd over the seeds") if comparison.seeds > 1 else (n,)


def _spread(arm: "Arm") -> str:
    centre = plain(arm.score.estimate)
    return f"{centre} ± {statistics.stdev(arm.per_seed):.4f}" if len(arm.per_seed) > 1 else centre


def _difference(arm: "Arm", digits: int = 4) -> tuple[str, str, str, str]:
    found = arm.difference
    if found is None:
        return "", "", "", ""
    inside = found.interval
    return (
        signed(inside.estimate, digits),
        span(inside.low, inside.high, digits, sign=True),
        chance(found.p_holm),
        shown(found.smallest, digits),
    )


def _short(arm: "Arm") -> str:
    if arm.difference is None:
        return UNDEFINED
    inside = arm.difference.interval
    return f"{signed(inside.estimate, 3)} {span(inside.low, inside.high, 3, sign=True)}"
