"""A `Report` as text for people."""

from io import StringIO

from rich import box
from rich.console import Console
from rich.table import Table

from attnzoo.data.check import Report, SplitReport, Spread


def render(report: Report, *, width: int = 120) -> str:
    """The report as plain text, at most `width` columns."""
    text = StringIO()
    console = Console(file=text, width=width, color_system=None, markup=False, highlight=False, emoji=False)
    console.print(
        _plain(f"{report.root}: {report.format}, {len(report.classes) - 1} classes, digest {report.digest[:12]}")
    )
    console.print(_splits(report))
    console.print(_classes(report))
    for depth, values in report.intensity.items():
        console.print(
            f"{depth} intensities: {values.smallest} to {values.largest} of 0…{values.full_scale}; "
            f"between these extremes 5 % below {values.low}, median {values.median}, 5 % above {values.high}",
            soft_wrap=True,
        )
    for finding in report.findings:
        console.print(_plain(f"{finding.level}: {finding.message}"), soft_wrap=True)
        for example in finding.examples:
            console.print(_plain(f"    {example}"), soft_wrap=True)
        if finding.count > len(finding.examples):
            console.print(f"    and {finding.count - len(finding.examples)} more")
    if not report.findings:
        console.print("nothing to remark")
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def _splits(report: Report) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False)
    table.add_column("split", no_wrap=True)
    for head in ("images", "groups", "empty", "height", "width", "labelled", "overlapping", "ignored"):
        table.add_column(head, justify="right", no_wrap=True)  # of all columns `kinds` alone may take a second line
    table.add_column("kinds")
    for name, split in report.splits.items():
        kinds = ", ".join(f"{count} × {kind}" for kind, count in sorted(split.kinds.items()))
        table.add_row(
            name,
            str(split.images),
            str(split.groups),
            str(split.empty_images),
            _spread(split.height),
            _spread(split.width),
            _percent(split.labelled_pixels, split.pixels),
            _percent(split.overlapping_pixels, split.labelled_pixels),
            _percent(split.ignored_pixels, split.pixels),
            kinds,
        )
    return table


def _classes(report: Report) -> Table:
    table = Table(box=box.SIMPLE, pad_edge=False)
    table.add_column("", justify="right")
    table.add_column("\nclass", no_wrap=True)
    for name in report.splits:
        for head in (f"{name}\nimages", "\nobjects", "\npixels"):
            table.add_column(head, justify="right")
    for index, name in enumerate(report.classes):
        cells = [cell for split in report.splits.values() for cell in _cells(split, name)]
        table.add_row(str(index), _plain(name), *cells)
    return table


def _cells(split: SplitReport, name: str) -> tuple[str, str, str]:
    found = split.classes[name]
    return str(found.images), str(found.annotations), _percent(found.pixels, split.pixels)


def _spread(spread: Spread) -> str:
    if spread.smallest == spread.largest:
        return str(spread.smallest)
    return f"{spread.smallest}…{spread.median:g}…{spread.largest}"


def _percent(part: int, whole: int) -> str:
    """A share to three digits, so that rare classes do not read as absent."""
    return "–" if not whole else f"{100 * part / whole:.3g} %"


def _plain(text: str) -> str:
    """File and class names come from others' files: nothing in them may steer the terminal."""
    return "".join(character if character.isprintable() else "�" for character in text)
