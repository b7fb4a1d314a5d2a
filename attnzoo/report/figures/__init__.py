"""Pictures for a paper: readable in black and white, text left as text, the same bytes each time."""

from attnzoo.report.figures.canvas import FORMATS, check_format
from attnzoo.report.figures.confusion import confusion
from attnzoo.report.figures.curves import curves
from attnzoo.report.figures.drawn import Drawn
from attnzoo.report.figures.forest import forest
from attnzoo.report.figures.gain import gain, pareto, points
from attnzoo.report.figures.overhead import check_added, overhead
from attnzoo.report.figures.panels import Panel, panels
from attnzoo.report.figures.reliability import reliability

__all__ = [
    "FORMATS",
    "Drawn",
    "Panel",
    "check_added",
    "check_format",
    "confusion",
    "curves",
    "forest",
    "gain",
    "overhead",
    "panels",
    "pareto",
    "points",
    "reliability",
]
