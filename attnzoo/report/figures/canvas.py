"""What all pictures share: a page, a style of our own, and bytes without a date.

matplotlib is imported inside, and never through pyplot: no window, no state, and none of the user's own style.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnzoo.errors import AttnzooError, listing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("svg", "pdf", "png")
WIDTH = 7.0  # inches: the text of a two-column page
COLOURS = "cividis"  # the same order in grey, and for colour-blind eyes
NOTHING = "#ffffff"  # where nothing was added
INK, QUIET, FAINT = "#1a1a1a", "#6b6b6b", "#d9d9d9"
# fmt: off
_STYLE: Any = {
    # DejaVu comes with matplotlib: every machine breaks and places text alike
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 7.5, "axes.labelsize": 7.5,
    "xtick.labelsize": 7, "ytick.labelsize": 7, "axes.linewidth": 0.6, "axes.edgecolor": INK, "text.color": INK,
    "axes.spines.top": False, "axes.spines.right": False, "xtick.major.width": 0.6, "ytick.major.width": 0.6,
    "svg.fonttype": "none", "svg.hashsalt": "attnzoo", "pdf.fonttype": 42, "savefig.dpi": 300,
}
# fmt: on
_UNDATED: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}


def check_format(path: Path) -> str:
    """The format that a file's ending says; refused where it cannot be drawn."""
    if (ending := path.suffix.removeprefix(".").lower()) not in FORMATS:
        raise AttnzooError(f"`{path}` cannot be drawn", f"end its name in {listing('.' + one for one in FORMATS)}")
    return ending


@contextmanager
def style() -> Iterator[None]:
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def written(figure: "Figure", kind: str) -> bytes:
    """The file's bytes, without a date."""
    file = io.BytesIO()
    figure.savefig(file, format=kind, metadata=_UNDATED[kind])
    return file.getvalue()
