"""The headers of many images, read once each, with the EXIF rule applied."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from attnzoo.data.content import content
from attnzoo.data.findings import Findings
from attnzoo.data.pictures import Header, header
from attnzoo.data.progress import track
from attnzoo.errors import AttnzooError
from attnzoo.recipe import Data


@dataclass(frozen=True)
class Probe:
    """An image as it will be seen: its size after `orientation` is applied; `exif` is the orientation in the file."""

    height: int
    width: int
    orientation: int
    exif: int
    digest: str


def probe(
    paths: Sequence[Path], split: str, options: Data, findings: Findings, *, progress: bool
) -> Iterator[Probe | None]:
    """A probe per path, in order; None for an image that cannot be used where the options drop such images."""
    pool = ThreadPoolExecutor(min(8, os.cpu_count() or 1))
    try:
        reading = [pool.submit(content, path) for path in paths]
        pairs = zip(paths, reading, strict=True)
        for path, read in track(pairs, f"reading {split}", total=len(paths), show=progress):
            try:
                seen = header(path, read.result())
            except AttnzooError as error:
                if options.unusable == "error":
                    raise
                findings.unusable("image", error.message, "", split)
                yield None
            else:
                yield _turned(path, seen, split, options, findings)
    finally:
        pool.shutdown(cancel_futures=True)  # at an error, the rest need not be read


def _turned(path: Path, seen: Header, split: str, options: Data, findings: Findings) -> Probe:
    """Apply the EXIF rule to a header."""
    if seen.deep_colour:
        findings.add("sixteen-bit-colour", path.name, split)
    if seen.orientation != 1:
        _exif(path, seen.orientation, split, options, findings)
    orientation = seen.orientation if options.exif == "transpose" else 1
    height, width = (seen.width, seen.height) if orientation in (5, 6, 7, 8) else (seen.height, seen.width)
    return Probe(height, width, orientation, seen.orientation, seen.digest)


def _exif(path: Path, orientation: int, split: str, options: Data, findings: Findings) -> None:
    if options.exif == "error":
        raise AttnzooError(
            f"`{path}` is to be turned when shown (EXIF orientation {orientation})",
            'say what to do: `data.exif = "transpose"` or `"ignore"`',
        )
    findings.add("turned" if options.exif == "transpose" else "orientation-ignored", path.name, split)
