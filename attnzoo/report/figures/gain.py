"""An ablation's Dice against what it costs: a dot for each seed, a disc for their mean."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from attnzoo.report.figures.canvas import COLOURS, FAINT, INK, NOTHING, QUIET, WIDTH, style, written
from attnzoo.report.figures.drawn import Drawn
from attnzoo.report.figures.labels import Box, front, place
from attnzoo.report.scores import macro
from attnzoo.report.table import si
from attnzoo.results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Point:
    """An arm in the picture of an ablation: a gain for each seed, latency (p10, median, p90), and what it adds."""

    arm: str
    gains: tuple[float, ...]
    latency: tuple[float, float, float]
    params: int
    macs: int

    @property
    def gain(self) -> float:
        """The mean over the seeds."""
        return statistics.fmean(self.gains)


def points(results: Sequence[Result], costs: Mapping[str, Row], baseline: str = "none") -> list[Point]:
    """The arms that have a Dice at every seed, and a cost; gains are paired with the baseline, if there is one."""
    dice = {(one.attention, one.seed): macro(one)["dice"] for one in results}
    base = costs.get(baseline, min(costs.values(), key=lambda cost: cost["params"]))
    found = []
    for arm, cost in costs.items():
        seeds = [seed for name, seed in dice if name == arm]
        pairs = [(dice[arm, seed], dice.get((baseline, seed), 0.0)) for seed in seeds]
        if pairs and not any(value is None for pair in pairs for value in pair):
            ratio = cost["relative"]["latency"]
            gains = tuple(ours - theirs for ours, theirs in pairs)
            spread = (ratio["p10"], ratio["median"], ratio["p90"])
            found.append(Point(arm, gains, spread, cost["params"] - base["params"], cost["macs"] - base["macs"]))
    return found


def gain(results: Sequence[Result], costs: Mapping[str, Row], kind: str, baseline: str = "none") -> bytes:
    """An ablation: Dice gained against latency; a dot for each seed, a disc for their mean."""
    with style():
        return written(_gain(results, costs, baseline), kind)


def pareto(results: Sequence[Result], costs: Mapping[str, Row], baseline: str = "none") -> Drawn:
    """The same picture with its words."""
    told = "; ".join(
        f"{one.arm} gains {one.gain:+.4f} at {one.latency[1]:.3f} times the latency; it adds {one.params:,} parameters "
        f"and {si(one.macs)} multiply-adds"
        for one in points(results, costs, baseline)
    )
    return Drawn(
        "gain",
        f"Gain against cost: {told}.",
        "Dice gained against latency; the stepped line joins the arms that no other beats in both.",
        lambda: _gain(results, costs, baseline),
    )


def _gain(results: Sequence[Result], costs: Mapping[str, Row], baseline: str) -> "Figure":
    from matplotlib.figure import Figure

    found = points(results, costs, baseline)
    figure = Figure((WIDTH, 3.4 if len(found) < 8 else 4.6), layout="constrained")
    axes = figure.subplots()
    reference = next(iter(costs.values()))["relative"]["to"]
    paired = any(result.attention == baseline for result in results)
    axes.set_xlabel(f"latency, ratio to {reference} (median of paired ratios; line: p10–p90)")
    axes.set_ylabel(f"Dice − Dice of {baseline} at the same seed" if paired else "Dice")
    _discs(figure, axes, found, paired)
    return figure


def _discs(figure: "Figure", axes: "Axes", found: Sequence[Point], paired: bool) -> None:
    """Points, scales, legends, and last the labels, which need all the rest to be where it stays."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm
    from matplotlib.lines import Line2D

    added = [one.macs for one in found if one.macs > 0]
    least = min(added, default=1)
    most = max([10 * least, *added])
    norm = LogNorm(least, most)
    for one in found:
        low, middle, high = one.latency
        axes.plot([low, high], [one.gain, one.gain], color=QUIET, linewidth=0.7, zorder=1)
        axes.plot([middle, middle], [min(one.gains), max(one.gains)], color=FAINT, linewidth=0.6, zorder=0)
        axes.plot([middle] * len(one.gains), one.gains, "o", color=QUIET, markersize=1.8, markeredgewidth=0, zorder=2.6)
        colour = colormaps[COLOURS](norm(one.macs)) if one.macs > 0 else NOTHING
        size = _area(one.params)
        axes.scatter(middle, one.gain, size, color=[colour], edgecolors=INK, linewidths=0.6, zorder=3)
    best = [found[index] for index in front([(one.latency[1], one.gain) for one in found])]
    if len(best) > 1:
        xs, ys = [one.latency[1] for one in best], [one.gain for one in best]
        axes.plot(xs, ys, color=INK, linewidth=0.8, drawstyle="steps-post", zorder=1.5)
    if paired:
        axes.axhline(0, color=INK, linewidth=0.6, linestyle=(0, (4, 3)), zorder=0)
    axes.axvline(1, color=INK, linewidth=0.6, linestyle=(0, (4, 3)), zorder=0)
    axes.margins(0.07)
    if added:
        bar = figure.colorbar(
            ScalarMappable(norm, COLOURS), ax=axes, aspect=30, pad=0.01, format=lambda value, _: si(value),
            ticks=[least, math.sqrt(least * most), most],
        )  # fmt: skip
        bar.set_label("multiply-adds added (white: none)")
        bar.outline.set_linewidth(0.6)
        bar.minorticks_off()
    shown = [size for size in (0, 10**2, 10**4, 10**6) if size <= 3 * max((one.params for one in found), default=0)]
    dot = Line2D([], [], marker="o", linestyle="", color=QUIET, markersize=1.8, label="a seed")
    line: Any = {"linestyle": "", "marker": "o", "color": NOTHING, "markeredgecolor": INK, "markeredgewidth": 0.6}
    discs = [Line2D([], [], markersize=_area(size) ** 0.5, label=si(size), **line) for size in shown]
    discs[0].set_label(f"the mean; its size: parameters added, {si(shown[0])}")
    figure.legend(
        handles=[dot, *discs], loc="outside upper left", ncols=5, frameon=False, fontsize=7, handletextpad=0.2
    )
    _label(figure, axes, found)


def _label(figure: "Figure", axes: "Axes", found: Sequence[Point]) -> None:
    """A name beside each point, those that no other beats in both first; a thin line where it had to move away."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    best = front([(one.latency[1], one.gain) for one in found])
    order = [*best, *(index for index in range(len(found)) if index not in best)]
    scale, renderer = figure.dpi / 72, cast("Any", figure)._get_renderer()
    centres = [tuple(axes.transData.transform((found[index].latency[1], found[index].gain))) for index in order]
    radii = [(_area(found[index].params) ** 0.5 / 2 + 1) * scale for index in order]
    texts = [axes.text(0, 0, found[index].arm, fontsize=6.5, zorder=2.5) for index in order]
    boxes = [text.get_window_extent(renderer) for text in texts]
    frame = axes.bbox
    sizes = [(box.width, box.height) for box in boxes]
    placed = place(centres, radii, sizes, (frame.x0, frame.y0, frame.x1, frame.y1), _lines(axes, found))
    back = axes.transData.inverted()
    for text, box, (x, y), radius in zip(texts, placed, centres, radii, strict=True):
        if box is None:
            text.remove()
            continue
        text.set_bbox({"facecolor": NOTHING, "edgecolor": "none", "alpha": 0.75, "pad": 0.2})
        text.set_position(tuple(back.transform((box[0], box[1] + (box[3] - box[1]) * 0.2))))
        near = min(max(x, box[0]), box[2]), min(max(y, box[1]), box[3])
        if (near[0] - x) ** 2 + (near[1] - y) ** 2 > (radius + 2 * scale) ** 2:
            (x0, y0), (x1, y1) = back.transform([(x, y), near])
            axes.plot([x0, x1], [y0, y1], color=QUIET, linewidth=0.4, zorder=2, scalex=False, scaley=False)
    if left := sum(box is None for box in placed):
        axes.text(
            1, 0, f"{left} without a name: see the table", transform=axes.transAxes, ha="right", va="bottom", fontsize=6
        )


def _lines(axes: "Axes", found: Sequence[Point]) -> list[Box]:
    """Where lines are that a label had better leave free."""
    ends = [((one.latency[0], one.gain), (one.latency[2], one.gain)) for one in found]
    ends += [((one.latency[1], min(one.gains)), (one.latency[1], max(one.gains))) for one in found]
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    ends += [((left, 0), (right, 0)), ((1, bottom), (1, top))]
    return [
        (x0 - 2, y0 - 2, x1 + 2, y1 + 2) for (x0, y0), (x1, y1) in (axes.transData.transform(pair) for pair in ends)
    ]


def _area(params: int) -> float:
    """In points squared; grows with the logarithm of what is added, from ten up."""
    return 14 + 16 * math.log10(max(10, params) / 10)
