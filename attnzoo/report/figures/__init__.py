"""Cost against gain, drawn for a paper: readable in black and white, text left as text, the same bytes each time."""

from attnzoo.report.figures.canvas import FORMATS, check_format
from attnzoo.report.figures.gain import gain, points
from attnzoo.report.figures.overhead import overhead

__all__ = ["FORMATS", "check_format", "gain", "overhead", "points"]
