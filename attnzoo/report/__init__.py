"""Results → rows → Markdown, LaTeX, CSV and plain text. Pure functions; never imports torch."""

from attnzoo.report.scores import ablation, evaluation, macro, result_rows
from attnzoo.report.table import Cell, Table, escape_latex, latex, markdown, mean, number, si, text, to_csv

__all__ = [
    "Cell",
    "Table",
    "ablation",
    "escape_latex",
    "evaluation",
    "latex",
    "macro",
    "markdown",
    "mean",
    "number",
    "result_rows",
    "si",
    "text",
    "to_csv",
]
