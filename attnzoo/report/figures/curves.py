"""Training curves of all arms: a thin line for each seed, a strong one for their mean."""

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attnzoo.report.figures.canvas import FAINT, WIDTH
from attnzoo.report.figures.drawn import Drawn
from attnzoo.report.figures.looks import looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curve = Mapping[str, Sequence[float]]  # a column of curves.csv by its name, a number an epoch
_PANELS = {
    "train_loss": "training loss",
    "val_loss": "validation loss",
    "train_batch_dice": "training Dice",
    "train_macro_dice": "training Dice, macro",
    "val_batch_dice": "validation Dice, batch average",
    "val_macro_dice": "validation Dice, macro",
}


def curves(arms: Mapping[str, Sequence[Curve]], reference: str) -> Drawn:
    """Training curves: panels for what was recorded, a colour and a dash for each arm, the reference in black.

    Args:
        arms: By arm the curves of its seeds.
        reference: The arm drawn in black.
    """
    recorded = [name for name in _PANELS if any(name in curve for seeds in arms.values() for curve in seeds)]
    ends = {
        arm: statistics.fmean(curve["val_macro_dice"][-1] for curve in seeds if curve.get("val_macro_dice"))
        for arm, seeds in arms.items()
        if any(curve.get("val_macro_dice") for curve in seeds)
    }
    told = "; ".join(f"{arm} ends at a validation Dice of {end:.3f}" for arm, end in ends.items())
    names = ", ".join(_PANELS[name] for name in recorded)
    lacking = "" if {"train_batch_dice", "train_macro_dice"} & {*recorded} else " No Dice of training is recorded."
    return Drawn(
        "curves",
        f"Training curves by epoch: {names}. {told}.",
        f"By epoch: {names}. Thin: each seed; strong: their mean, as far as all seeds go.{lacking}",
        lambda: _curves(arms, reference, recorded),
    )


def _curves(arms: Mapping[str, Sequence[Curve]], reference: str, recorded: Sequence[str]) -> "Figure":
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    columns = 2
    lines = -(-len(recorded) // columns)
    figure = Figure((WIDTH, 0.45 + 2.3 * lines + 0.14 * -(-len(arms) // 3)), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    lines_of = looks(list(arms), reference)
    for axes, name in zip(panels, recorded, strict=False):
        for arm, seeds in arms.items():
            _arm(axes, [curve[name] for curve in seeds if curve.get(name)], lines_of[arm])
        axes.set_title(_PANELS[name], fontsize=7.5, loc="left")
        axes.grid(axis="y", color=FAINT, linewidth=0.4)
        axes.set_axisbelow(True)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if "loss" in name:
            axes.set_ylim(bottom=0)
        axes.set_xlabel("epoch")
        axes.set_xlim(0, max(2, axes.get_xlim()[1]))
    for axes in panels[len(recorded) :]:
        axes.set_visible(False)
    handles = [panels[0].plot([], [], **lines_of[arm], linewidth=1.4, label=arm)[0] for arm in arms]
    figure.legend(handles=handles, loc="outside upper left", ncols=3, frameon=False, fontsize=7)
    return figure


def _arm(axes: "Axes", seeds: Sequence[Sequence[float]], look: Mapping[str, Any]) -> None:
    single: dict[str, Any] = {"marker": "o", "markersize": 2.5}
    for seed in seeds if len(seeds) > 1 else ():
        axes.plot(range(1, len(seed) + 1), seed, **{**look, "linestyle": "-"}, linewidth=0.5, alpha=0.35)
    mean = [statistics.fmean(values) for values in zip(*seeds, strict=False)]
    axes.plot(range(1, len(mean) + 1), mean, **look, linewidth=1.4, **(single if len(mean) == 1 else {}))
