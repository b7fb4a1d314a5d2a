"""A split's COCO file and images → its samples."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attnzoo.data.coco.outlines import UnusableError, beyond, outlines
from attnzoo.data.coco.read import File, Listed
from attnzoo.data.files import Files
from attnzoo.data.findings import Findings
from attnzoo.data.probe import Probe, probe
from attnzoo.data.records import IGNORE, Annotation, Sample
from attnzoo.errors import AttnzooError
from attnzoo.recipe import Data


def samples(
    file: File,
    images: Files,
    indices: Mapping[int, int],
    split: str,
    options: Data,
    findings: Findings,
    *,
    progress: bool,
) -> tuple[Sample, ...]:
    """The usable samples of a split, sorted by name, with an empty group.

    Raises:
        AttnzooError: For images and annotations that cannot be used, unless the options drop them.
    """
    found: list[tuple[Listed, Path]] = []
    for listed in sorted(file.images, key=lambda listed: listed.file_name):
        path = images.find(listed.file_name, file.path)
        if path is None:
            findings.unusable("image", f"`{listed.file_name}` in `{file.path}`", "is missing", split)
        else:
            found.append((listed, path))
    _unlisted(images, {path for _, path in found}, split, findings)
    made = []
    probes = probe([path for _, path in found], split, options, findings, progress=progress)
    for (listed, path), seen in zip(found, probes, strict=True):
        if seen is None or not _fits(listed, path, seen, file, split, options, findings):
            continue
        raw = file.annotations[listed.id]
        if not raw:
            findings.add("no-annotation", listed.file_name, split)
        checked = (_annotation(entry, seen, file, indices, split, findings) for entry in raw)
        usable = tuple(annotation for annotation in checked if annotation is not None)
        made.append(Sample(listed.file_name, path, "", seen.height, seen.width, seen.digest, seen.orientation, usable))
    return tuple(made)


def _unlisted(images: Files, used: set[Path], split: str, findings: Findings) -> None:
    for name in images.names:
        if images.folder / name not in used:
            findings.add("unlisted", name, split)


def _fits(listed: Listed, path: Path, seen: Probe, file: File, split: str, options: Data, findings: Findings) -> bool:
    """Whether the annotations were made on the picture that the network will see, as far as sizes can tell."""
    if listed.size is None:
        findings.add("size-from-image", listed.file_name, split)
        return True
    if listed.size == (seen.height, seen.width):
        return True
    height, width = listed.size
    if seen.exif in (5, 6, 7, 8) and listed.size == (seen.width, seen.height):
        other = "ignore" if options.exif == "transpose" else "transpose"
        raise AttnzooError(
            f"`{path}` was annotated at {width}×{height} pixels, but its EXIF orientation, by "
            f'`data.exif = "{options.exif}"`, makes it {seen.width}×{seen.height}',
            f'it was annotated the other way: `data.exif = "{other}"`',
        )
    findings.unusable(
        "image", f"`{path}`", f"has {seen.width}×{seen.height} pixels, and {width}×{height} in `{file.path}`", split
    )
    return False


def _annotation(
    entry: Mapping[str, Any], seen: Probe, file: File, indices: Mapping[int, int], split: str, findings: Findings
) -> Annotation | None:
    place = f"annotation `{entry['id']}` in `{file.path}`"
    crowd = entry.get("iscrowd", 0)
    if crowd not in (0, 1):
        findings.unusable("annotation", place, f"has iscrowd `{crowd}`; 0 and 1 are possible", split)
        return None
    try:
        polygons, runs, problems = outlines(entry.get("segmentation"), seen.height, seen.width)
    except UnusableError as error:
        findings.unusable("annotation", place, str(error), split)
        return None
    for problem in problems:
        findings.unusable("annotation", place, problem, split)
    if len(polygons) > 1:
        findings.add("several-parts", place, split)
    if polygons and (reach := beyond(polygons, seen.height, seen.width)):
        findings.add(reach, place, split)
    if crowd:
        findings.add("crowd", place, split)
    return Annotation(int(entry["id"]), IGNORE if crowd else indices[int(entry["category_id"])], polygons, runs)
