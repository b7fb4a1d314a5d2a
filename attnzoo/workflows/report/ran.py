"""What was run: the recipe, the data, the machine, and how training went."""

import csv
from collections.abc import Mapping, Sequence

from attnzoo.report.figures.curves import Curve
from attnzoo.report.page import Section
from attnzoo.results import CURVES, RECIPE
from attnzoo.workflows.execute import duration
from attnzoo.workflows.report.folder import Folder


def section(folder: Folder) -> Section:
    """Facts and the recipe, as they were recorded."""
    record, results = folder.record, folder.results
    data = record["data"]
    first = results[0]
    images = data.get("images") or {"valid": first.validation["images"], "test": first.test["images"]}
    devices = dict.fromkeys(str(result.environment.get("device", "unknown")) for result in results)
    machines = dict.fromkeys(_machine(result.environment.get("machine", {})) for result in results)
    commits = dict.fromkeys(str(result.environment.get("commit") or "not run from a checkout") for result in results)
    versions = first.environment.get("versions", {})
    facts = (
        ("arms", ", ".join(folder.arms)),
        ("seeds", ", ".join(map(str, folder.seeds))),
        ("data", data["root"]),
        ("data digest", data["digest"]),
        ("images", ", ".join(f"{count} {split}" for split, count in images.items())),
        ("classes", ", ".join(data["classes"])),
        ("device", "; ".join(devices)),
        ("machine", "; ".join(machines)),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
        ("commit", "; ".join(commits)),
        ("command", " ".join(record.get("command", ()))),
        ("time", f"{duration(sum(result.duration_s for result in results))} for {len(results)} runs"),
    )
    path = folder.runs[0].folder / RECIPE
    words = "The recipe of the first run; the others differ in attention and seed."
    if folder.reproduction:
        words = "The recipe of the first run; each model has its own."
    listings = (("Recipe", path.read_text(encoding="utf-8")),) if path.exists() else ()
    return Section("run", "What was run", words=(words,), facts=facts, listings=listings)


def curves(folder: Folder) -> Mapping[str, Sequence[Curve]]:
    """By arm the columns of its runs' `curves.csv`; a column with an undefined number ends there."""
    found: dict[str, list[Curve]] = {}
    for run in folder.runs:
        if (path := run.folder / CURVES).exists():
            with path.open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
            names = rows[0] if rows else ()
            found.setdefault(run.arm, []).append({name: _numbers([row[name] for row in rows]) for name in names})
    return found


def _numbers(cells: Sequence[str]) -> tuple[float, ...]:
    """Numbers up to the first cell that has none."""
    numbers = []
    for cell in cells:
        if not cell:
            break
        numbers.append(float(cell))
    return tuple(numbers)


def _machine(machine: Mapping[str, object]) -> str:
    return f"{machine.get('processor', 'unknown')}, {machine.get('cpus', '?')} CPUs, {machine.get('system', '')}"
