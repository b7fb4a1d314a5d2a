"""A line for each arm that can be told from the others, by colour and by dash."""

from collections.abc import Sequence
from typing import Any

from attnzoo.palette import colour
from attnzoo.report.figures.canvas import INK

_DARK = 0.62  # luminance above which a line is lost on paper
_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1)), (0, (6, 1.5, 1.5, 1.5)))


def looks(arms: Sequence[str], reference: str) -> dict[str, dict[str, Any]]:
    """A colour of the palette that is dark enough on paper, and a dash, for each arm; the reference is black."""
    dark = [rgb for index in range(1, 22) if _luminance(rgb := colour(index)) < _DARK]
    found: dict[str, dict[str, Any]] = {}
    for place, arm in enumerate(arm for arm in arms if arm != reference):
        rgb = dark[place % len(dark)]
        found[arm] = {"color": tuple(part / 255 for part in rgb), "linestyle": _DASHES[place % len(_DASHES)]}
    return {arm: found.get(arm, {"color": INK, "linestyle": "-"}) for arm in arms}


def _luminance(rgb: tuple[int, int, int]) -> float:
    red, green, blue = (part / 255 for part in rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
