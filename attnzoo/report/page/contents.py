"""What a page holds: finished words, tables and pictures, in the order in which they are read."""

from dataclasses import dataclass
from typing import Literal

from attnzoo.report.table import Table


@dataclass(frozen=True)
class Picture:
    """A picture inside the page: `source` is a data URI (`embedded`), `alt` says what is to be seen in it.

    A `chart` keeps a legible width on a small screen and scrolls in its own box; other pictures are small.
    """

    alt: str
    source: str
    caption: str = ""
    chart: bool = False


@dataclass(frozen=True)
class Verdict:
    """What is said of an arm: a kind, which decides the sign and the colour, a sentence, and what stands beside it."""

    arm: str
    kind: Literal["gain", "loss", "none", "equivalent", "reference", "unknown"]
    label: str
    words: str
    cautions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """A test image: by which rule it was picked, and how every arm sees it; `maps` are what attention does there."""

    title: str
    words: str
    pictures: tuple[Picture, ...]
    maps: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class Section:
    """A heading and what is below it, in the order of the fields; `key` names it in links.

    `legends` are colours by what they mean, (`#d55e00`, `missed`), in groups with a name; `notes` are a list below.
    """

    key: str
    title: str
    words: tuple[str, ...] = ()
    legends: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()
    cases: tuple[Case, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    listings: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """A whole report. `gaps` is all that is missing or was left out, a sentence each.

    In sentences a `word` in backticks is set as code; everything is escaped.
    """

    title: str
    about: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    cautions: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()
    made_by: str = "attnzoo"
