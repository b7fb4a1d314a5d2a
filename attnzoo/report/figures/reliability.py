"""Does a network that is 80 % sure be right in 80 % of the pixels? A line for each arm, all its seeds together."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attnzoo.report.figures.canvas import FAINT, INK, QUIET, WIDTH
from attnzoo.report.figures.drawn import Drawn
from attnzoo.report.figures.looks import looks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Bin = Mapping[str, Any]  # `pixels`, `confidence` and `accuracy` of a bin of `calibration`
Point = tuple[int, float, float]  # pixels, confidence, accuracy


def reliability(arms: Mapping[str, Sequence[Sequence[Bin]]], reference: str) -> Drawn:
    """Confidence against accuracy: by arm the bins of each of its seeds, as a result's `calibration` has them."""
    points = {arm: pooled(seeds) for arm, seeds in arms.items()}
    errors = {arm: error(found) for arm, found in points.items()}
    told = "; ".join(f"{arm} is off by {value:.4f}" for arm, value in errors.items())
    return Drawn(
        "reliability",
        f"Reliability: how often pixels are right against how sure the network is. Expected calibration error: {told}.",
        "How often pixels are right, against how sure the network is of them; on the dashed line both agree. Below it "
        "the network is too sure. Seeds together; at the right the share of pixels in each bin.",
        lambda: _reliability(points, errors, reference),
    )


def pooled(seeds: Sequence[Sequence[Bin]]) -> list[Point]:
    """Bins of several seeds as one: pixels, confidence, accuracy; empty ones are left out."""
    found = []
    for same in zip(*seeds, strict=True):
        there = [one for one in same if one["pixels"]]
        if pixels := sum(one["pixels"] for one in there):
            sure, right = (sum(one["pixels"] * one[of] for one in there) / pixels for of in ("confidence", "accuracy"))
            found.append((pixels, sure, right))
    return found


def error(points: Sequence[Point]) -> float:
    """The expected calibration error."""
    return sum(pixels * abs(sure - right) for pixels, sure, right in points) / sum(pixels for pixels, _, _ in points)


def _reliability(points: Mapping[str, Sequence[Point]], errors: Mapping[str, float], reference: str) -> "Figure":
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    figure = Figure((WIDTH, 3.1 + 0.14 * -(-len(points) // 3)), layout="constrained")
    left, right = figure.subplots(1, 2)
    lines = looks(list(points), reference)
    left.plot([0, 1], [0, 1], color=INK, linewidth=0.6, linestyle=(0, (4, 3)))
    for arm, found in points.items():
        total = sum(pixels for pixels, _, _ in found)
        sure = [one[1] for one in found]
        label = f"{arm} ({errors[arm]:.4f})"
        left.plot(sure, [one[2] for one in found], **lines[arm], linewidth=1.2, marker="o", markersize=2, label=label)
        right.plot(sure, [one[0] / total for one in found], **lines[arm], linewidth=1.2, marker="o", markersize=2)
    right.set_yscale("log")
    right.set_xlim(left.get_xlim())
    left.set_ylabel("right")
    right.set_ylabel("share of the pixels")
    right.yaxis.label.set_color(QUIET)
    for axes in (left, right):
        axes.set_xlabel("how sure")
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.grid(color=FAINT, linewidth=0.4)
        axes.set_axisbelow(True)
    left.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    figure.legend(loc="outside upper left", ncols=3, frameon=False, fontsize=7)
    return figure
