"""Differences of all arms to the reference with their intervals, a line each, and the verdict at the right."""

import math
from typing import TYPE_CHECKING

from attnzoo.report.figures.canvas import FAINT, INK, NOTHING, QUIET, WIDTH
from attnzoo.report.figures.drawn import Drawn
from attnzoo.report.page.numbers import percent
from attnzoo.report.page.verdicts import measured

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from attnzoo.statistics import Comparison, Difference


def forest(comparison: "Comparison") -> Drawn:
    """The forest plot of a comparison.

    A disc is the mean over seeds, filled where a gain or a loss is shown, hollow elsewhere; small dots are the seeds, a
    line the interval, the pale bar behind it the differences that could not have been shown; a band the margin.
    """
    rows = [(arm.name, arm.difference) for arm in comparison.arms if arm.difference is not None]
    told = "; ".join(f"{name} {_numbers(one)}, {one.verdict}" for name, one in rows)
    what = measured(comparison.metric)
    caption = (
        f"Difference in {what} to {comparison.reference} with its {percent(comparison.level)} interval. Disc: mean "
        "over seeds, filled where a difference is shown; dots: seeds; pale bar: what is too small to be shown by this "
        "many groups and seeds"
    )
    if comparison.margin is not None:
        caption += f"; dashed: the margin of equivalence, ±{comparison.margin:g}"
    return Drawn(
        "forest",
        f"Forest plot of differences in {what} to {comparison.reference}: {told}.",
        caption + ".",
        lambda: _forest(comparison, rows),
    )


def _forest(comparison: "Comparison", rows: "list[tuple[str, Difference]]") -> "Figure":
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure((WIDTH, 0.75 + 0.27 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for line, (_, one) in enumerate(rows):
        _line(axes, line, one)
    ends = [end for _, one in rows for end in (one.interval.low, one.interval.high, *one.per_seed, 0.0)]
    ends += [] if comparison.margin is None else [-comparison.margin, comparison.margin]
    finite = [end for end in ends if math.isfinite(end)]
    around = 0.05 * (max(finite) - min(finite)) or 0.01
    axes.set_xlim(min(finite) - around, max(finite) + around)  # the pale bars may be longer
    axes.axvline(0, color=INK, linewidth=0.6, zorder=0)
    for margin in () if comparison.margin is None else (-comparison.margin, comparison.margin):
        axes.axvline(margin, color=INK, linewidth=0.6, linestyle=(0, (4, 3)), zorder=0)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)  # the first on top
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    better = "" if comparison.higher_is_better else " (less is better)"
    what = measured(comparison.metric)
    axes.set_xlabel(f"{what} − {what} of {comparison.reference}{better}")
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:+g}".replace("-", "−") if value else "0")
    right = axes.secondary_yaxis("right")
    right.set_yticks(range(len(rows)), [f"{_numbers(one)}   {one.verdict}" for _, one in rows])
    right.tick_params(axis="y", length=0)
    right.spines["right"].set_visible(False)
    return figure


def _line(axes: "Axes", line: int, one: "Difference") -> None:
    inside = one.interval
    if math.isfinite(one.smallest):
        axes.barh(
            line, 2 * one.smallest, left=-one.smallest, height=0.55, color=FAINT, alpha=0.55, linewidth=0, zorder=0.5
        )
    if math.isfinite(inside.low) and math.isfinite(inside.high):
        axes.plot([inside.low, inside.high], [line, line], color=INK, linewidth=1.2, solid_capstyle="butt", zorder=2)
    axes.plot(
        one.per_seed, [line + 0.24] * len(one.per_seed), "o", color=QUIET, markersize=1.8, markeredgewidth=0, zorder=2
    )
    face = INK if one.verdict in ("gain", "loss") else NOTHING
    axes.plot(inside.estimate, line, "o", color=INK, markerfacecolor=face, markersize=5, markeredgewidth=0.9, zorder=3)


def _numbers(one: "Difference") -> str:
    inside = one.interval
    numbers = f"{inside.estimate:+.4f}"
    if math.isfinite(inside.low) and math.isfinite(inside.high):
        numbers += f" [{inside.low:+.4f}, {inside.high:+.4f}]"
    return numbers.replace("-", "−")
