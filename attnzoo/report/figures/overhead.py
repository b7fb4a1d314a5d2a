"""What attentions add to a host: a line each, three panels."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attnzoo.errors import AttnzooError
from attnzoo.report.figures.canvas import FAINT, INK, NOTHING, QUIET, WIDTH, style, written
from attnzoo.report.table import si

if TYPE_CHECKING:
    from matplotlib.axes import Axes


COUNTS = {"params": "parameters", "macs": "multiply-adds"}


def check_added(rows: Sequence[Mapping[str, Any]]) -> None:
    """What is removed has no place on a logarithmic scale, and would be drawn as if nothing were added.

    Raises:
        AttnzooError: One has fewer parameters or multiply-adds than the first, or there is no other.
    """
    first, *others = rows
    if not others:
        raise AttnzooError("`--plot` draws what is added to the first, and there is one", "name another beside it")
    for row in others:
        for key, name in COUNTS.items():
            if row[key] < first[key]:
                raise AttnzooError(
                    f"`--plot` draws what is added, and `{row['name']}` has fewer {name} than `{first['name']}`",
                    "name the smallest first",
                )


def overhead(rows: Sequence[Mapping[str, Any]], kind: str) -> bytes:
    """What attentions add to a host, a line each in the order of the rows: three panels with one scale each.

    Raises:
        AttnzooError: As `check_added`.
    """
    check_added(rows)
    with style():
        from matplotlib.figure import Figure

        first, *others = rows
        figure = Figure((WIDTH, 1.0 + 0.135 * max(4, len(others))), layout="constrained")
        panels = figure.subplots(1, 3, sharey=True, width_ratios=(1, 1, 1.35))
        places = range(len(others))
        for axes in panels:
            axes.grid(axis="y", color=FAINT, linewidth=0.4)
            axes.set_axisbelow(True)
            axes.tick_params(axis="y", length=0)
            axes.spines["left"].set_visible(False)
        panels[0].set_yticks(places, [row["name"] for row in others])
        panels[0].set_ylim(len(others) - 0.4, -0.6)  # the first on top
        for axes, (key, name) in zip(panels, COUNTS.items(), strict=False):
            _lollipops(axes, [row[key] - first[key] for row in others], f"{name} added")
        _ranges(panels[2], [row["relative"]["latency"] for row in others], first["name"])
        return written(figure, kind)


def _lollipops(axes: "Axes", added: Sequence[int], name: str) -> None:
    """Counts on a logarithmic scale, whose left edge is nothing."""
    least = min((one for one in added if one > 0), default=1)
    edge = 10.0 ** (len(str(least)) - 2)
    axes.set_xscale("log")
    axes.set_xlim(edge, 3 * max(*added, 10 * edge))
    for line, one in enumerate(added):
        axes.plot([edge, max(one, edge)], [line, line], color=QUIET, linewidth=0.9, solid_capstyle="butt")
        face = INK if one > 0 else NOTHING
        axes.plot(max(one, edge), line, "o", color=INK, markerfacecolor=face, markersize=3, clip_on=False)
    axes.xaxis.set_major_formatter(lambda value, _: si(value).replace(" ", ""))
    axes.minorticks_off()
    axes.set_xlabel(f"{name}\n(hollow: none)" if min(added) == 0 else name)


def _ranges(axes: "Axes", ratios: Sequence[Mapping[str, float]], reference: str) -> None:
    """Medians with p10–p90; 1 is the host."""
    from matplotlib.ticker import LogLocator, NullFormatter

    if max(ratio["p90"] for ratio in ratios) > 3:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.minorticks_off()
    axes.axvline(1, color=INK, linewidth=0.6, linestyle=(0, (4, 3)))
    for line, ratio in enumerate(ratios):
        axes.plot([ratio["p10"], ratio["p90"]], [line, line], color=QUIET, linewidth=1.6, solid_capstyle="butt")
    axes.plot([ratio["median"] for ratio in ratios], range(len(ratios)), "o", color=INK, markersize=3)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}×")
    axes.set_xlabel(f"latency, ratio to {reference}\n(median of paired ratios; bar: p10–p90)")
