"""What a careful colleague would report of a data set before anyone trains on it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from attnzoo.data.dataset import open_dataset
from attnzoo.data.findings import Findings
from attnzoo.data.intensity import Histogram, Intensity
from attnzoo.data.masks import mask, under
from attnzoo.data.pictures import image
from attnzoo.data.progress import track
from attnzoo.data.records import IGNORE, SPLITS, Dataset, Finding, Split
from attnzoo.errors import AttnzooError
from attnzoo.recipe import Data


@dataclass(frozen=True)
class Spread:
    """Smallest, median and largest of some lengths, in pixels."""

    smallest: int
    median: float
    largest: int


@dataclass(frozen=True)
class ClassReport:
    """How much there is of a class in a split; annotations are counted where the data set has them, else 0."""

    images: int
    pixels: int
    annotations: int


@dataclass(frozen=True)
class SplitReport:
    """One split in numbers; pixels are mask pixels. `kinds` counts "8-bit grey", "8-bit colour" and "16-bit grey"."""

    images: int
    groups: int
    empty_images: int
    height: Spread
    width: Spread
    kinds: Mapping[str, int]
    classes: Mapping[str, ClassReport]
    pixels: int
    labelled_pixels: int
    overlapping_pixels: int
    ignored_pixels: int


@dataclass(frozen=True)
class Report:
    """All that `check` saw. `intensity` maps a depth ("8-bit", "16-bit") to what its images' values look like."""

    root: str
    format: str
    digest: str
    classes: tuple[str, ...]
    splits: Mapping[str, SplitReport]
    intensity: Mapping[str, Intensity]
    findings: tuple[Finding, ...]

    def as_dict(self) -> dict[str, Any]:
        """The report in plain dicts, lists and numbers, for JSON."""
        return asdict(self)


def inspect(root: str | Path, options: Data | None = None, *, progress: bool = False) -> Report:
    """Open and check a folder leniently: what a run would refuse is counted among the findings where it can be."""
    lenient = replace(options or Data(), unusable="skip", allow_leakage=True)
    return check(open_dataset(root, lenient, progress=progress), progress=progress)


def check(dataset: Dataset, *, progress: bool = False) -> Report:
    """Look at every pixel of an opened data set; images that cannot be decoded become findings."""
    findings, histogram = Findings(skip=True), Histogram()
    splits = {name: _split(dataset, split, findings, histogram, progress) for name, split in dataset.splits.items()}
    for name in SPLITS:
        if name not in splits:
            findings.add("missing-split", name)
    for name, split in splits.items():
        for label in dataset.classes[1:]:
            if not split.classes[label].pixels:
                findings.add("absent-class", label, name)
    _depths(splits, findings)
    intensity = histogram.read()
    for depth, values in intensity.items():
        if values.narrow:
            findings.add(
                "narrow-range",
                f"{depth}: between the extremes, 90 % of values are in {values.low}…{values.high}; "
                f"`data.window = [{values.low}, {values.high}]` would spread them",
            )
    found = tuple(sorted(dataset.findings + findings.collected(), key=lambda finding: finding.level != "warning"))
    return Report(str(dataset.root), dataset.format, dataset.digest, dataset.classes, splits, intensity, found)


def _split(dataset: Dataset, split: Split, findings: Findings, histogram: Histogram, progress: bool) -> SplitReport:
    kinds: Counter[str] = Counter()
    pixels = np.zeros(IGNORE + 1, dtype=np.int64)
    images, annotations = np.zeros_like(pixels), np.zeros_like(pixels)
    labelled = overlapping = empty = 0
    for sample in track(split.samples, f"checking {split.name}", total=len(split.samples), show=progress):
        try:
            values = image(sample)
        except AttnzooError as error:
            findings.add("broken-image", error.message, split.name)
        else:
            kinds[histogram.add(values)] += 1
        counts = np.bincount(mask(dataset, sample).ravel(), minlength=IGNORE + 1)
        pixels += counts
        images += counts > 0
        empty += int(not counts[1:].any())
        hidden = under(sample)
        labelled, overlapping = labelled + hidden["labelled"], overlapping + hidden["overlapping"]
        for annotation in sample.annotations:
            annotations[annotation.label] += 1
        for kind, ids in (("no-pixels", hidden["empty"]), ("hidden", hidden["hidden"])):
            for number in ids:
                findings.add(kind, f"annotation `{number}` of {sample.name}", split.name)
    classes = {
        name: ClassReport(int(images[index]), int(pixels[index]), int(annotations[index]))
        for index, name in enumerate(dataset.classes)
    }
    heights, widths = [sample.height for sample in split.samples], [sample.width for sample in split.samples]
    return SplitReport(
        len(split.samples),
        len({sample.group for sample in split.samples}),
        empty,
        _spread(heights),
        _spread(widths),
        dict(kinds),
        classes,
        int(pixels.sum()),
        labelled,
        overlapping,
        int(pixels[IGNORE]),
    )


def _spread(lengths: list[int]) -> Spread:
    return Spread(min(lengths), median(lengths), max(lengths))


def _depths(splits: Mapping[str, SplitReport], findings: Findings) -> None:
    deep = {name: split.kinds.get("16-bit grey", 0) for name, split in splits.items()}
    if 0 < sum(deep.values()) < sum(sum(split.kinds.values()) for split in splits.values()):
        for name, count in deep.items():
            if count:
                findings.add("mixed-depth", f"{count} in {name}", name)
