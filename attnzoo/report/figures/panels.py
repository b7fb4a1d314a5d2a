"""Pictures in rows and columns with words below, and a legend of colours: for cases and for annotations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attnzoo.report.figures.canvas import INK, WIDTH
from attnzoo.report.figures.drawn import Drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Legend = Sequence[tuple[str, tuple[int, int, int]]]


@dataclass(frozen=True)
class Panel:
    """A picture: pixels (H, W, 3), words above it, and outlines over it, each (x, y, x, y, …) with its colour."""

    pixels: Any
    title: str = ""
    outlines: tuple[tuple[Sequence[float], tuple[int, int, int]], ...] = ()


def panels(
    name: str,
    rows: Sequence[tuple[str, Sequence[Panel]]],
    legend: Legend,
    alt: str,
    caption: str,
    columns: int,
) -> Drawn:
    """Rows of panels; a row's words stand above its first panel; rows longer than `columns` go on below."""
    return Drawn(name, alt, caption, lambda: _panels(rows, legend, columns))


def _panels(rows: Sequence[tuple[str, Sequence[Panel]]], legend: Legend, columns: int) -> "Figure":
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    lines = [
        (words if start == 0 else "", row[start : start + columns])
        for words, row in rows
        for start in range(0, len(row), columns)
    ]
    side = WIDTH / columns
    heights = [max(panel.pixels.shape[0] / panel.pixels.shape[1] for panel in row) * side for _, row in lines]
    above = [0.24 + 0.2 * bool(words) for words, _ in lines]
    key = 0.1 + 0.16 * -(-len(legend) // 6) if legend else 0.0
    total = sum(heights) + sum(above) + key
    figure = Figure((WIDTH, total))
    top = total
    for (words, row), height, space in zip(lines, heights, above, strict=True):
        if words:
            figure.text(0, (top - 0.05) / total, words, fontsize=7.5, fontweight="bold", va="top")
        top -= space + height
        for column, panel in enumerate(row):
            place = (column / columns, top / total, 0.97 / columns, height / total)
            _draw(figure.add_axes(place), panel)
    if legend:
        handles = [
            Patch(facecolor=_part(colour), edgecolor=INK, linewidth=0.4, label=label) for label, colour in legend
        ]
        figure.legend(
            handles=handles, loc="lower left", bbox_to_anchor=(0, 0), ncols=6, frameon=False, fontsize=6.5,
            borderpad=0, handlelength=1,
        )  # fmt: skip
    return figure


def _draw(axes: "Axes", panel: Panel) -> None:
    height, width = panel.pixels.shape[:2]
    axes.imshow(panel.pixels, interpolation="nearest")
    for points, colour in panel.outlines:
        xs, ys = list(points[0::2]), list(points[1::2])
        axes.plot([*xs, xs[0]], [*ys, ys[0]], color=_part(colour), linewidth=0.8)
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)
    axes.set_axis_off()
    axes.set_anchor("NW")
    axes.set_title(panel.title, fontsize=6, loc="left", pad=2)


def _part(colour: tuple[int, int, int]) -> tuple[float, float, float]:
    red, green, blue = colour
    return red / 255, green / 255, blue / 255
