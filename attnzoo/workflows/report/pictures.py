"""Kept cases → what the page shows of them, and the figures for a paper."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from attnzoo import palette
from attnzoo.report import figures
from attnzoo.report import page as pages
from attnzoo.report.figures import Drawn, Panel
from attnzoo.report.page import Case, Picture, Section
from attnzoo.workflows.report.cases import Cases
from attnzoo.workflows.report.drawing import ERRORS, hexadecimal, image_score, overlaid, painted
from attnzoo.workflows.report.folder import Folder
from attnzoo.workflows.report.kept import encoded
from attnzoo.workflows.report.picks import FOR_CLASSES, Pick

COLUMNS = 6  # of the figure for a paper
WIDE = 1400  # pixels of a figure of photographs on the page
LONGEST, QUALITY = 240, 70  # pixels of a case on the page, and what is kept of its detail


def annotation(cases: Cases, chart: Callable[[Drawn], Picture]) -> Section | None:
    """How an annotation became a mask: the image, its outlines, the mask."""
    if cases.example is None:
        return None
    kept, image = cases.kept, cases.example
    photo, truth = kept.photo(image), kept.truth(image)
    classes = next(iter(cases.runs.values())).result.classes
    outlines, scale = kept.images[image].get("outlines"), photo.shape[1] / truth.shape[1]
    drawn = tuple(
        ([number * scale for number in part], palette.colour(one["label"]))
        for one in outlines or ()
        for part in one["polygons"]
    )
    there = [index for index in np.unique(truth).tolist() if 0 < index < len(classes)]
    parts = [Panel(photo, "image")]
    parts += [Panel(photo, f"{len(outlines)} annotations", drawn)] if outlines is not None else []
    parts.append(Panel(np.asarray(painted(photo, truth, classes)), "mask"))
    names = ", ".join(classes[index] for index in there)
    how = (
        "Outlines are painted from the largest to the smallest, so that small ones stay on top."
        if outlines is not None
        else "The data set came with masks, so there are no outlines to show."
    )
    figure = figures.panels(
        "annotation",
        [("", parts)],
        [(classes[index], palette.colour(index)) for index in there],
        f"The test image {image}, {'its annotated outlines, ' * (outlines is not None)}and its mask, with {names}.",
        f"{image}, the test image with most classes. {how}",
        len(parts),
    )
    return Section("annotation", "How an annotation becomes a mask", pictures=(chart(figure),))


def cases(cases: Cases, folder: Folder, reference: str, out: Path) -> Section | None:
    """The picked images, as every arm sees them; the best, median and worst as a figure, too."""
    if not cases.picks:
        return None
    classes = next(iter(cases.runs.values())).result.classes
    seeds = dict.fromkeys(run.seed for run in cases.runs.values())
    words = (
        f"Test images picked by rule, not by eye, from the Dice of `{reference}` at seed {cases.runs[reference].seed}: "
        "the best, median and worst of all by the mean over the classes in the image's truth, then the worst and the "
        f"median of single classes, up to {FOR_CLASSES} images, beginning with the class whose mean Dice differs most "
        f"between an arm and `{reference}`. Predictions are those of every arm's first seed "
        f"({', '.join(map(str, seeds))}).",
        "Attention maps are coloured from the smallest number of the map (violet) to its largest (yellow), each by its "
        "own scale, which is written below it.",
    )
    errors = tuple((hexadecimal(colour), name) for name, colour in ERRORS.items())
    names = tuple((hexadecimal(palette.colour(index)), name) for index, name in enumerate(classes) if index)
    _figure(cases, classes).write(out)
    return Section(
        "cases",
        "Cases",
        words,
        legends=(("Predictions", errors), ("Truth", names)),
        cases=tuple(_case(cases, one, classes) for one in cases.picks),
        notes=cases.left_out,
    )


def _case(cases: Cases, one: Pick, classes: Sequence[str]) -> Case:
    kept, photo, truth = cases.kept, cases.kept.photo(one.image), cases.kept.truth(one.image)
    focus = None if one.focus is None else classes.index(one.focus)
    of = "all classes" if one.focus is None else one.focus
    shown = [
        Picture(f"The image {one.image}.", _embedded(photo), "image"),
        Picture(f"The truth of {one.image} over the image.", _embedded(painted(photo, truth, classes, focus)), "truth"),
    ]
    maps = []
    for arm in cases.runs:
        if not cases.shows(arm, one.image):
            continue
        predicted = kept.mask(one.image, arm)
        score = image_score(truth, predicted, focus)
        told = "no score" if score is None else f"Dice {score:.3f}"
        alt = f"What {arm} finds in {one.image}, and misses, of {of}: {told}."
        shown.append(Picture(alt, _embedded(overlaid(photo, truth, predicted, focus)), f"{arm} · {told}"))
        for about, path in kept.maps(one.image, arm) if one.overall else ():
            title = f"{about.block} at {about.site}"
            words = f"{about.what}, {about.low:.3g} to {about.high:.3g}"
            sides = "×".join(map(str, about.sides))
            alt = f"Attention map of {arm} on {one.image}: {title}, {words}, map of {sides}."
            caption = f"{arm + ': ' if arm != about.block else ''}{title}; {words}"
            maps.append(Picture(alt, pages.embedded(path.read_bytes(), "webp"), caption))
    rules = ", ".join(f"{rule} ({rule.dice:.3f})" for rule in one.rules)
    title = str(one.rules[0])
    size = "×".join(map(str, reversed(truth.shape)))
    return Case(
        title[0].upper() + title[1:], f"`{one.image}`, {size} pixels; {rules}. Shown: {of}.", tuple(shown), tuple(maps)
    )


def _figure(cases: Cases, classes: Sequence[str]) -> Drawn:
    """The best, median and worst image for a paper: the image, the truth, and every arm's errors."""
    rows = []
    for one in (pick for pick in cases.picks if pick.overall):
        photo, truth = cases.kept.photo(one.image), cases.kept.truth(one.image)
        parts = [Panel(photo, "image"), Panel(np.asarray(painted(photo, truth, classes)), "truth")]
        parts += [
            Panel(np.asarray(overlaid(photo, truth, cases.kept.mask(one.image, arm))), arm)
            for arm in cases.runs
            if cases.shows(arm, one.image)
        ]
        rows.append((f"{one.rules[0]}: {one.image}", parts))
    legend = [*ERRORS.items(), *((name, palette.colour(index)) for index, name in enumerate(classes) if index)]
    alt = "Test images as every arm sees them: the image, the truth, and right, extra, missed and confused pixels."
    columns = min(COLUMNS, max(2, *(len(parts) for _, parts in rows)))
    return figures.panels("cases", rows, legend, alt, alt, columns)


def compact(png: bytes) -> str:
    """A drawn figure as a picture of the page."""
    with Image.open(io.BytesIO(png)) as image:
        small = image.convert("RGB").resize((WIDE, round(image.height * WIDE / image.width)), Image.Resampling.LANCZOS)
    return pages.embedded(encoded(small, ".webp", quality=QUALITY), "webp")


def _embedded(picture: object) -> str:
    """A picture of the page, small: there are many."""
    image = (picture if isinstance(picture, Image.Image) else Image.fromarray(np.asarray(picture))).copy()
    image.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    return pages.embedded(encoded(image, ".webp", quality=QUALITY), "webp")
