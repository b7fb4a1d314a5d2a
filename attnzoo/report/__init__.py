"""Results → rows → Markdown, LaTeX, CSV, plain text and pictures. Pure functions; never imports torch."""

from attnzoo.report import figures
from attnzoo.report.costs import overheads
from attnzoo.report.scores import ablation, evaluation, macro, result_rows
from attnzoo.report.table import Cell, Table, escape_latex, latex, markdown, mean, number, si, text, to_csv
from attnzoo.report.verdicts import sentences, verdicts

__all__ = [
    "Cell",
    "Table",
    "ablation",
    "escape_latex",
    "evaluation",
    "figures",
    "latex",
    "macro",
    "markdown",
    "mean",
    "number",
    "overheads",
    "result_rows",
    "sentences",
    "si",
    "text",
    "to_csv",
    "verdicts",
]
