"""A folder → a `Dataset`: recognised, read, checked, and its content digested."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from attnzoo.data import folders
from attnzoo.data.coco import load
from attnzoo.data.coco.categories import classes_of
from attnzoo.data.coco.rasterise import RULES
from attnzoo.data.coco.read import File, read
from attnzoo.data.content import content
from attnzoo.data.files import Files
from attnzoo.data.findings import Findings
from attnzoo.data.layout import WHOLE, Layout, recognise
from attnzoo.data.masks import mask, prepare
from attnzoo.data.pictures import image
from attnzoo.data.records import IGNORE, SPLITS, Annotation, Dataset, Finding, Sample, Split
from attnzoo.data.splits import draw, grouped, leakage
from attnzoo.errors import AttnzooError
from attnzoo.recipe import Data
from attnzoo.results import ALL, SCORES

__all__ = ["Annotation", "Dataset", "Finding", "Sample", "Split", "image", "mask", "open_dataset", "prepare"]


def open_dataset(root: str | Path, options: Data | None = None, *, progress: bool = False) -> Dataset:
    """Open a data set: Roboflow or plain COCO, or folders of images and index masks.

    Every annotation is checked and every file read once (for the digest); no image is decoded and no mask painted
    yet: `prepare` does that. A data set in one piece is dealt into train, valid and test (see `splits.draw`); else the
    splits are those that are there.

    Args:
        root: The folder.
        options: The recipe's `[data]`: `group_pattern`, `unusable`, `exif` and `allow_leakage` matter here.
        progress: Whether to show a bar on stderr.

    Raises:
        AttnzooError: For anything that a run should not silently live with.
    """
    root, options = Path(root), options or Data()
    findings = Findings(skip=options.unusable == "skip")
    layout = recognise(root)
    if layout.format == "folders":
        found, classes, ids, sources = _from_folders(root, layout, options, findings, progress)
    else:
        found, classes, ids, sources = _from_coco(root, layout, options, findings, progress)
    if ALL in classes:
        raise AttnzooError(
            f"`{root}` has a class `{ALL}`, which is what `{SCORES}` calls all classes together", "rename the class"
        )
    found = {split: grouped(samples, options.group_pattern) for split, samples in found.items()}
    for split, samples in found.items():
        if not samples:
            raise _without_images(root, split, layout, findings)
    if WHOLE in found:
        for sample in found[WHOLE]:
            findings.add("drawn-splits", sample.name)
        found = draw(found[WHOLE])
    leakage(found, findings, pattern=options.group_pattern, allow=options.allow_leakage)
    splits = {split: Split(split, found[split]) for split in SPLITS if split in found}
    return Dataset(root, layout.format, classes, ids, splits, findings.collected(), _digest(classes, splits, sources))


_Found = tuple[dict[str, tuple[Sample, ...]], tuple[str, ...], Mapping[int, int], dict[str, str]]


def _from_coco(root: Path, layout: Layout, options: Data, findings: Findings, progress: bool) -> _Found:
    files: dict[str, tuple[File, Path]] = {}
    for split, source in layout.sources.items():
        if source.annotations is not None:
            files[split] = (read(source.annotations), source.images)
    classes, ids = classes_of([file for file, _ in files.values()], findings)
    found = {
        split: load.samples(file, Files(root, images), ids, split, options, findings, progress=progress)
        for split, (file, images) in files.items()
    }
    return found, classes, ids, {split: file.digest for split, (file, _) in files.items()}


def _from_folders(root: Path, layout: Layout, options: Data, findings: Findings, progress: bool) -> _Found:
    found, names = {}, folders.named_classes(root)
    highest = 0
    for split, source in layout.sources.items():
        if source.masks is not None:
            found[split] = folders.samples(
                root, source.images, source.masks, split, options, findings, progress=progress
            )
            top = folders.highest_class(found[split], split, len(names or range(IGNORE)), progress=progress)
            highest = max(highest, top)
    if highest == 0 and any(found.values()):  # where no image has its mask, no mask was read
        raise AttnzooError(
            f"the masks in `{root}` hold no class: nothing but 0 (background) and 255 (ignored)",
            "masks hold 1 for the first class, not 255",
        )
    classes = names or ("background", *(f"class {index}" for index in range(1, highest + 1)))
    return found, classes, {index: index for index in range(1, len(classes))}, {}


def _without_images(root: Path, split: str, layout: Layout, findings: Findings) -> AttnzooError:
    """Says of a split without an image what became of them: `attnzoo data check` cannot say more, it ends here too."""
    told = {finding.kind: finding for finding in findings.collected() if finding.split == split}
    why = "it names none"
    if (dropped := told.get("unusable-image")) is not None:
        why = dropped.examples[0] + (f", and {dropped.count - 1} more cannot be used" if dropped.count > 1 else "")
    elif told:
        finding = next(iter(told.values()))
        why = f"{finding.message}, such as {finding.examples[0]}"
    return AttnzooError(
        f"`{root}` has no usable image{'' if split == WHOLE else f' in {split}'}: {why}",
        "image and mask are paired by the name before the suffix"
        if layout.format == "folders"
        else "add images, and name them in the annotation file",
    )


def _digest(classes: tuple[str, ...], splits: Mapping[str, Split], sources: Mapping[str, str]) -> str:
    """SHA-256 over class names, annotation files, and each sample's name, image and mask; never over paths or times."""
    digest = hashlib.sha256()
    lines = [
        f"rules {RULES}",
        *(f"class {name}" for name in classes),
        *(f"source {key} {sources[key]}" for key in sorted(sources)),
    ]
    for split in splits.values():
        for sample in split.samples:
            drawn = "" if sample.mask is None else content(sample.mask).digest
            lines.append(f"{split.name} {sample.name!r} {sample.digest} {drawn}")
    for line in lines:
        digest.update(line.encode("utf-8", "surrogatepass") + b"\n")
    return digest.hexdigest()
