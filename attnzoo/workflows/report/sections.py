"""The page's sections, in the order in which they are read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from attnzoo import report as reports
from attnzoo.report import figures
from attnzoo.report import page as pages
from attnzoo.report.page import Page, Picture, Section, Verdict
from attnzoo.report.page.numbers import count
from attnzoo.statistics import Comparison
from attnzoo.workflows.evidence import Gathered
from attnzoo.workflows.report import pictures, ran, reproduced, scores
from attnzoo.workflows.report.cases import Cases
from attnzoo.workflows.report.folder import Folder


@dataclass(frozen=True)
class Material:
    """All that a page is made of; figures are written into `figures`."""

    folder: Folder
    reference: str
    gathered: Gathered
    comparison: Comparison | None
    cases: Cases
    figures: Path
    margin: float | None


def page(material: Material) -> Page:
    """The whole page. Its figures are written as files, too."""
    folder, comparison = material.folder, material.comparison
    made = [build(material) for build in _ORDER]
    extra = reproduced.sections(folder) if folder.reproduction else ()
    gaps = [*folder.gaps, *material.gathered.gaps, *material.cases.gaps]
    return Page(
        title=folder.title if folder.reproduction else "Is the gain real?",
        about=_about(material),
        verdicts=_verdicts(material),
        cautions=() if comparison is None else comparison.cautions,
        gaps=tuple(dict.fromkeys(gaps)),
        sections=(*extra, *(section for section in made if section is not None)),
        made_by=f"attnzoo {folder.record.get('versions', {}).get('attnzoo', '')}".strip(),
    )


def _verdicts(material: Material) -> tuple[Verdict, ...]:
    """Of every planned arm: what was compared, and of the others that nothing is said."""
    compared = () if material.comparison is None else pages.verdicts(material.comparison)
    named = {verdict.arm for verdict in compared}
    there = {run.arm for run in material.folder.runs}
    words = {True: "It could not be compared: see what is missing.", False: "It has no finished run."}
    unsaid = [
        Verdict(arm, "unknown", "nothing can be said", words[arm in there])
        for arm in material.folder.arms
        if arm not in named
    ]
    return (*compared, *unsaid)


def _about(material: Material) -> tuple[str, ...]:
    folder, comparison = material.folder, material.comparison
    told = [] if folder.reproduction else [f"recipe {folder.title}"]
    told += [f"{count(len(folder.arms), 'arm')} × {count(len(folder.seeds), 'seed')}"]
    told.append(f"data {Path(folder.record['data']['root']).name}")
    if comparison is not None:
        groups = "" if comparison.groups == comparison.images else f" in {count(comparison.groups, 'group')}"
        told.append(f"{count(comparison.images, 'test image')}{groups}")
        told.append(f"Dice, global macro over {count(len(comparison.classes), 'class')}")
    told.append(f"compared with {material.reference}")
    return tuple(told)


def _chart(drawn: figures.Drawn, material: Material) -> Picture:
    """A figure on the page, and its three files."""
    return Picture(drawn.alt, pages.embedded(drawn.write(material.figures)["svg"], "svg"), drawn.caption, chart=True)


def _photos(drawn: figures.Drawn, material: Material) -> Picture:
    """A figure of photographs, whose pixels would make an SVG large."""
    return Picture(drawn.alt, pictures.compact(drawn.write(material.figures)["png"]), drawn.caption, chart=True)


def _differences(material: Material) -> Section | None:
    if material.comparison is None:
        return None
    return Section("differences", "Differences", pictures=(_chart(figures.forest(material.comparison), material),))


def _cost(material: Material) -> Section | None:
    folder, results = material.folder, material.folder.results
    timed = {arm: cost for arm, cost in folder.costs.items() if any(one.attention == arm for one in results)}
    if not timed or not figures.points(results, timed, material.reference):
        return None
    drawn = figures.pareto(results, timed, material.reference)
    return Section("cost", "Gain against cost", pictures=(_chart(drawn, material),))


def _arms(material: Material) -> Section:
    folder, comparison = material.folder, material.comparison
    if comparison is None:
        return Section(
            "arms", "All arms", tables=(reports.ablation(folder.results, folder.costs, baseline=material.reference),)
        )
    parameters = {result.attention: result.parameters for result in folder.results}
    return Section("arms", "All arms", tables=(pages.tables.arms(comparison, parameters, folder.costs),))


def _classes(material: Material) -> Section | None:
    if material.comparison is None or len(material.comparison.classes) < 2:
        return None
    return Section("classes", "Class by class", tables=scores.by_class(material.gathered, material.reference))


def _strata(material: Material) -> Section | None:
    if material.comparison is None:
        return None
    tables = scores.by_size(material.gathered, material.reference) + scores.without_any(material.folder)
    return Section("sizes", "Small and large, and images with nothing", tables=tables) if tables else None


def _others(material: Material) -> Section | None:
    """Further scores that the runs have, and how sure they are."""
    if material.comparison is None:
        return None
    tables, gaps = scores.others(material.folder, material.gathered, material.reference)
    bins = scores.calibration(material.folder)
    pictures = (_chart(figures.reliability(bins, material.reference), material),) if bins else ()
    return Section("others", "Other scores", pictures=pictures, tables=tables, notes=gaps)


def _curves(material: Material) -> Section | None:
    found = ran.curves(material.folder)
    if not found:
        return None
    return Section("curves", "Training", pictures=(_chart(figures.curves(found, material.reference), material),))


def _confusion(material: Material) -> Section | None:
    """Of the reference, and of the other arm with the best score."""
    comparison, folder = material.comparison, material.folder
    arms = [material.reference]
    if comparison is not None:
        sign = 1 if comparison.higher_is_better else -1
        others = [arm for arm in comparison.arms if arm.name != material.reference]
        arms.append(max(others, key=lambda arm: sign * arm.score.estimate).name)
    counts = {arm: sum(run.matrices.sum(0) for run in folder.runs if run.arm == arm) for arm in arms}
    drawn = figures.confusion(counts, folder.results[0].classes)
    words = ("The reference, and beside it the other arm with the highest score.",) if len(arms) > 1 else ()
    return Section("confusion", "What is taken for what", words, pictures=(_chart(drawn, material),))


def _annotation(material: Material) -> Section | None:
    return pictures.annotation(material.cases, lambda drawn: _photos(drawn, material))


def _cases(material: Material) -> Section | None:
    return pictures.cases(material.cases, material.folder, material.reference, material.figures)


def _ran(material: Material) -> Section:
    return ran.section(material.folder)


def _method(material: Material) -> Section | None:
    if material.comparison is None:
        return None
    return Section("method", "How it was compared", words=(material.comparison.method,))


_ORDER: Sequence[Callable[[Material], Section | None]] = (
    _differences,
    _cost,
    _arms,
    _classes,
    _strata,
    _others,
    _curves,
    _annotation,
    _cases,
    _confusion,
    _ran,
    _method,
)
