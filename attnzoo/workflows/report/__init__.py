"""A finished ablation or reproduction → one HTML page, its figures, a LaTeX table, and the cases it kept."""

from collections.abc import Callable
from pathlib import Path

from attnzoo import report as reports
from attnzoo import statistics
from attnzoo.errors import AttnzooError, did_you_mean, listing
from attnzoo.report import page as pages
from attnzoo.results import write_text
from attnzoo.statistics import Comparison
from attnzoo.workflows.evidence import select
from attnzoo.workflows.report import sections
from attnzoo.workflows.report.cases import cases
from attnzoo.workflows.report.folder import Folder, read

FOLDER, PAGE, TABLE = "report", "report.html", "table.tex"


def report(
    folder: Path,
    *,
    against: str | None = None,
    margin: float | None = None,
    device: str = "auto",
    data: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Path:
    """Write `report/` into the folder of an ablation or a reproduction, and return the page's path.

    What is missing is stated on the page; nothing is averaged over what happens to be there. Cases are predicted once
    and kept in `report/cases`; where weights or data are gone later, the page is drawn from there.

    Args:
        folder: As `attnzoo ablate` or `attnzoo reproduce` wrote it, finished or not.
        against: The arm that the others are compared with; by default `none`, or without it the first arm.
        margin: A difference in Dice that would not matter: arms within it can be called equivalent.
        device: Where the cases are predicted.
        data: Where the data set lies now; by default where it was.
        say: Gets a line for each step.

    Raises:
        AttnzooError: The folder holds no finished run, `against` is no arm of it, or `data` is another data set.
    """
    found = read(Path(folder))
    reference = _reference(found, against)
    gathered = select(found.runs, "dice", reference)
    shown = cases(found, reference, data=data, device=device, say=say)
    comparison = None
    if gathered.evidence is not None and reference in gathered.evidence.arms:
        say("comparing")
        comparison = statistics.compare(gathered.evidence, reference, margin=margin)
    home = found.path / FOLDER
    say("drawing")
    material = sections.Material(found, reference, gathered, comparison, shown, home / "figures", margin)
    page = sections.page(material)
    if comparison is not None:
        write_text(home / TABLE, _latex(comparison, found))
    write_text(home / PAGE, pages.html(page))
    return home / PAGE


def _reference(folder: Folder, asked: str | None) -> str:
    """The arm that the others are compared with: one that has a finished run."""
    there = tuple(dict.fromkeys(run.arm for run in folder.runs))
    if asked is None:
        return "none" if "none" in there else there[0]
    if asked not in folder.arms:
        raise AttnzooError(
            f"`{folder.path}` has no arm `{asked}`",
            did_you_mean(asked, folder.arms) or f"arms: {listing(folder.arms, last='and')}",
        )
    if asked not in there:
        raise AttnzooError(f"the arm `{asked}` has no finished run to compare with", "finish it, or take another arm")
    return asked


def _latex(comparison: Comparison, folder: Folder) -> str:
    """The table of the arms, with n, spread, interval, test and correction in its caption."""
    parameters = {result.attention: result.parameters for result in folder.results}
    table = pages.tables.arms(comparison, parameters, folder.costs)
    return reports.latex(reports.Table(table.header, table.rows, table.title, pages.tables.caption(comparison)))
