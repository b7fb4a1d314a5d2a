"""The page's HTML from finished words: order, escaping, and what is left out."""

import subprocess
import sys

from attnzoo.report import Table
from attnzoo.report.page import Case, Page, Picture, Section, Verdict, embedded, html

from .conftest import read_page

PICTURE = Picture("A square, all black.", embedded(b"<svg/>", "svg"), "ema+gate@skip/ema@bottleneck", chart=True)


def page(**changes: object) -> Page:
    given = {
        "title": "Is the gain real?",
        "about": ("recipe smoke", "2 arms"),
        "verdicts": (Verdict("none", "reference", "reference", "all others are compared with `none`"),),
        "sections": (
            Section("arms", "All arms", tables=(Table(("arm", "Dice"), (("none", "0.5"),), notes=("n = 1",)),)),
        ),
    }
    return Page(**{**given, **changes})  # type: ignore[arg-type]


def test_what_users_named_is_escaped() -> None:
    evil = "<script>alert('x')</script>"
    section = Section(evil, evil, words=(evil,), tables=(Table((evil, evil), ((evil, evil),), evil, (evil,)),),
                      cases=(Case(evil, evil, (Picture(evil, "data:,", evil),)),), facts=((evil, evil),),
                      listings=((evil, evil),), notes=(evil,), legends=((evil, (("#123456", evil),)),))  # fmt: skip
    verdict = Verdict(evil, "gain", evil, f"`{evil}`", (evil,))
    seen = read_page(html(page(title=evil, about=(evil,), verdicts=(verdict,), gaps=(evil,), sections=(section,))))
    assert not seen.all("script")
    assert seen.text.count("alert('x')") > 15


def test_words_in_backticks_are_code_and_sentences_begin_large() -> None:
    assert "<p>All others are compared with <code>none</code></p>" in html(page())


def test_a_long_spelling_may_be_broken_behind_its_signs() -> None:
    given = html(page(sections=(Section("x", "X", pictures=(PICTURE,)),)))
    assert "<figcaption>ema+<wbr>gate@<wbr>skip/<wbr>ema@<wbr>bottleneck</figcaption>" in given


def test_gaps_are_a_section_only_where_there_are_any() -> None:
    assert "What is missing" not in html(page())
    assert "<li><code>gate</code> has not begun</li>" in html(page(gaps=("`gate` has not begun",)))


def test_a_table_has_headers_for_rows_and_columns() -> None:
    seen = read_page(html(page()))
    assert [(one.get("scope"), one.get("class")) for one in seen.all("th")] == [
        ("col", "l"),
        ("col", "r"),
        ("row", "l"),
    ]
    assert [one.get("aria-label") for one in seen.all("table")] == [None]


def test_a_chart_scrolls_in_its_own_box_and_can_be_reached_by_keys() -> None:
    given = html(page(sections=(Section("x", "X", pictures=(PICTURE,)),)))
    assert (
        '<div class="scroll" tabindex="0"><img src="data:image/svg+xml;base64,PHN2Zy8+" alt="A square, all black.">'
        in given
    )


def test_light_dark_and_paper_have_their_colours() -> None:
    style = html(page()).partition("</style>")[0]
    assert "prefers-color-scheme: dark" in style
    assert "@media print" in style


def test_a_page_needs_neither_torch_nor_numpy_nor_matplotlib() -> None:
    script = (
        "import sys; from attnzoo.report.page import Page, html; html(Page('a', ('b',), ()));"
        "print([name for name in ('torch', 'numpy', 'matplotlib') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"
