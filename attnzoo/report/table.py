"""A table of finished cells, as plain text, Markdown and LaTeX; and how numbers become cells."""

import csv
import io
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

UNDEFINED = "n/a"

Cell = str | int | float | None


@dataclass(frozen=True)
class Table:
    """Finished text: a title, a header, rows as long as the header, and notes that say what the numbers are.

    `align` has a letter a column, as in LaTeX; by default the first is `l` and the others are `r`.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""
    notes: tuple[str, ...] = ()
    align: str = ""

    @property
    def alignment(self) -> str:
        """`align`, or its default."""
        return self.align or "l" + "r" * (len(self.header) - 1)


def text(table: Table) -> str:
    """Title, aligned columns and notes, for a terminal or a pipe."""
    lines = [table.header, tuple("─" * len(name) for name in table.header), *table.rows]
    title = [table.title, ""] if table.title else []
    return "\n".join([*title, *_aligned(lines, table.alignment, "  ", "", ""), *table.notes]) + "\n"


def markdown(table: Table) -> str:
    """A table of GitHub's Markdown, aligned for the eye as well."""
    cells = [
        tuple(cell.replace("\\", "\\\\").replace("|", "\\|") for cell in row) for row in (table.header, *table.rows)
    ]
    widths = [max(3, *(len(cell) for cell in column)) for column in zip(*cells, strict=True)]
    rule = tuple(
        "-" * (width - 1) + (":" if side == "r" else "-") for width, side in zip(widths, table.alignment, strict=True)
    )
    title = f"**{table.title}**\n\n" if table.title else ""
    notes = "\n" + "".join(f"- {note}\n" for note in table.notes) if table.notes else ""
    return title + "\n".join(_aligned([cells[0], rule, *cells[1:]], table.alignment, " | ", "| ", " |")) + "\n" + notes


def latex(table: Table) -> str:
    """A `table` environment with booktabs rules; every cell escaped."""
    caption = "; ".join(filter(None, (table.title, *table.notes)))
    lines = [
        "% needs \\usepackage{booktabs}",
        "\\begin{table}",
        "  \\centering",
        f"  \\caption{{{escape_latex(caption)}.}}",
        f"  \\begin{{tabular}}{{{table.alignment}}}",
        "    \\toprule",
        f"    {_latex_row(table.header)}",
        "    \\midrule",
        *(f"    {_latex_row(row)}" for row in table.rows),
        "    \\bottomrule",
        "  \\end{tabular}",
        "\\end{table}",
    ]
    return "\n".join(lines) + "\n"


def to_csv(rows: Iterable[Mapping[str, Cell]]) -> str:
    """CSV with one header for all rows; a column that a row lacks, and an undefined score, is `n/a`."""
    table = list(rows)
    names = list(dict.fromkeys(name for row in table for name in row))
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([UNDEFINED if (cell := row.get(name)) is None else cell for name in names] for row in table)
    return file.getvalue()


def mean(values: Sequence[float | None], digits: int = 4, *, spread: bool = True, signed: bool = False) -> str:
    """Mean ± sample standard deviation; no ± for a single value; `n/a` where a value is undefined."""
    defined = [value for value in values if value is not None]
    if not defined or len(defined) < len(values):
        return UNDEFINED
    centre = f"{statistics.fmean(defined):{'+' if signed else ''}.{digits}f}".replace("-", "−")
    return f"{centre} ± {statistics.stdev(defined):.{digits}f}" if spread and len(defined) > 1 else centre


def number(value: float | None, digits: int) -> str:
    """A number with thousands separators, or `n/a`."""
    return UNDEFINED if value is None else f"{value:,.{digits}f}"


def si(value: float | None) -> str:
    """A count with an SI prefix and four digits: `37.61 G`."""
    if value is None:
        return UNDEFINED
    for power, prefix in ((12, " T"), (9, " G"), (6, " M"), (3, " k")):
        if value >= 10**power:
            return f"{value / 10**power:.4g}{prefix}"
    return f"{value:.4g}"


def escape_latex(string: str) -> str:
    """A text in which LaTeX finds nothing to interpret, with the mathematical signs of our tables set as such."""
    special = {sign: f"\\{sign}" for sign in "&%$#_{}"} | {
        "\\": "\\textbackslash{}",
        "~": "\\textasciitilde{}",
        "^": "\\textasciicircum{}",
        "<": "\\textless{}",
        ">": "\\textgreater{}",
        "…": "\\dots{}",
        "±": "$\\pm$",
        "Δ": "$\\Delta$",
        "−": "$-$",
        "×": "$\\times$",
        "→": "$\\rightarrow$",
    }
    return "".join(special.get(sign, sign) for sign in string)


def _aligned(rows: Sequence[Sequence[str]], sides: str, between: str, before: str, after: str) -> Iterable[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            f"{cell:{'>' if side == 'r' else '<'}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)
        ]
        yield f"{before}{between.join(cells)}{after}".rstrip()


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(escape_latex(cell) for cell in cells) + " \\\\"
