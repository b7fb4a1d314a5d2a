"""Confusion matrices, each row divided by the class's true pixels, a panel for each of a few arms."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attnzoo.report.figures.canvas import COLOURS, INK, NOTHING, WIDTH
from attnzoo.report.figures.drawn import Drawn

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.figure import Figure

    Counts = Mapping[str, npt.NDArray[np.int64]]


def confusion(counts: "Counts", classes: Sequence[str]) -> Drawn:
    """By arm the counts (K, K) of the test set, rows truth, all seeds together; a class without pixels is white."""
    told = []
    for arm, matrix in counts.items():
        hits = ", ".join(
            f"{name} {matrix[index, index] / total:.0%}"
            for index, name in enumerate(classes)
            if (total := int(matrix[index].sum()))
        )
        told.append(f"{arm}: found of each class {hits}")
    return Drawn(
        "confusion",
        f"Confusion matrices. {'; '.join(told)}.",
        "Rows: the truth; columns: the prediction; in per cent of the row's pixels, all seeds together.",
        lambda: _confusion(counts, classes),
    )


def _confusion(counts: "Counts", classes: Sequence[str]) -> "Figure":
    import numpy as np
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    size = max(2.2, 0.42 + 0.27 * len(classes))
    figure = Figure((WIDTH, min(size, 3.6) + 0.75), layout="constrained")
    panels = figure.subplots(1, max(2, len(counts)), squeeze=False, sharey=True)[0]
    for axes, (arm, matrix) in zip(panels, counts.items(), strict=False):
        totals = matrix.sum(1, keepdims=True)
        shares: Any = np.where(totals > 0, matrix / np.maximum(totals, 1), np.nan)
        colours = colormaps[f"{COLOURS}_r"].with_extremes(bad=NOTHING)
        axes.imshow(shares, vmin=0, vmax=1, cmap=colours)
        for row, column in np.argwhere(np.nan_to_num(shares) >= 0.005):
            ink = NOTHING if shares[row, column] > 0.5 else INK
            axes.text(
                column, row, f"{100 * shares[row, column]:.0f}", ha="center", va="center", color=ink, fontsize=5.5
            )
        axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right", rotation_mode="anchor", fontsize=6.5)
        axes.set_yticks(range(len(classes)), classes, fontsize=6.5)
        axes.tick_params(length=0)
        axes.set_title(arm, fontsize=7.5, loc="left")
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)
    for axes in panels[len(counts) :]:
        axes.set_visible(False)
    return figure
