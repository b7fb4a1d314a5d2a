"""What opening a data set collects on its way: refused at once, or counted and told at the end."""

from typing import Literal, NamedTuple

from attnzoo.data.records import Finding
from attnzoo.errors import AttnzooError

EXAMPLES = 5


class _Kind(NamedTuple):
    level: Literal["note", "warning"]
    text: str


KINDS = {
    # dropped, because the options allow it
    "unusable-annotation": _Kind("warning", "annotations, or parts of them, that cannot be used and are dropped"),
    "unusable-image": _Kind("warning", "images that cannot be used and are dropped"),
    # the same photo in two splits, because the options allow it
    "leaked-group": _Kind("warning", "groups with images in more than one split, which makes scores too good"),
    "leaked-image": _Kind("warning", "images in more than one split, byte for byte, which makes scores too good"),
    # what the annotations hold
    "dummy-category": _Kind("note", "categories with id 0 that no annotation uses and are dropped"),
    "crowd": _Kind("note", "crowd annotations, painted as ignored (255)"),
    "outside": _Kind("warning", "annotations entirely outside their image, which paint nothing"),
    "clipped": _Kind("note", "annotations that reach beyond their image and are clipped"),
    "several-parts": _Kind("note", "annotations of several outlines, painted as their union (a hole would be filled)"),
    "no-pixels": _Kind("warning", "annotations too thin, too small or too far outside to cover a pixel"),
    "hidden": _Kind("warning", "annotations that smaller ones cover entirely"),
    "size-from-image": _Kind("note", "images whose size the annotations do not say (read from the image)"),
    # images
    "turned": _Kind("note", "images turned by their EXIF orientation"),
    "orientation-ignored": _Kind("warning", "images whose EXIF orientation is ignored"),
    "sixteen-bit-colour": _Kind("warning", "images with 16 bits a colour, of which only the upper 8 are read"),
    "duplicate-image": _Kind("note", "images that are copies of others in the split, byte for byte"),
    "unlisted": _Kind("note", "files that no annotation file or image asks for and are left out"),
    "no-annotation": _Kind("note", "images without annotation (background throughout)"),
    # the data set as a whole
    "drawn-splits": _Kind("note", "images in one piece, dealt into train, valid and test by group with seed 0"),
    "missing-split": _Kind("warning", "splits that are not there (a run needs them)"),
    "absent-class": _Kind("warning", "classes without a pixel"),
    "broken-image": _Kind("warning", "images that cannot be decoded (a run would stop at them)"),
    "mixed-depth": _Kind("warning", "images of 16 bits among others of 8 (one `data.window` cannot suit both)"),
    "narrow-range": _Kind("note", "depths whose intensities fill little of their range (consider `data.window`)"),
}


class Findings:
    """A notebook for one opening. `skip` decides between dropping unusable things and refusing them."""

    def __init__(self, *, skip: bool) -> None:
        self._skip = skip
        self._places: dict[tuple[str, str | None], list[str]] = {}

    def add(self, kind: str, place: str, split: str | None = None) -> None:
        """Count one thing; `place` is what a reader would look for."""
        self._places.setdefault((kind, split), []).append(place)

    def unusable(
        self, what: Literal["annotation", "image"], place: str, problem: str, split: str | None = None
    ) -> None:
        """Refuse an annotation or image, or drop it and count it where `data.unusable` is "skip"."""
        if not self._skip:
            raise AttnzooError(f"{place} {problem}", f'mend it, or drop such {what}s by `data.unusable = "skip"`')
        self.add(f"unusable-{what}", f"{place} {problem}".strip(), split)

    def collected(self) -> tuple[Finding, ...]:
        """One finding per kind and split, warnings first, else in order of appearance."""
        made = []
        for (kind, split), places in self._places.items():
            level, text = KINDS[kind]
            where = f" in {split}" if split else ""
            message = f"{text}{where}: {len(places)}"
            made.append(Finding(level, kind, message, len(places), split, tuple(places[:EXAMPLES])))
        return tuple(sorted(made, key=lambda finding: finding.level != "warning"))
