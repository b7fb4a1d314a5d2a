"""A picture with its words, and its three files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from attnzoo.report.figures.canvas import FORMATS, style, written

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Drawn:
    """A picture by its name: what is to be seen (`alt`), what stands below it, and how it is drawn in our style."""

    name: str
    alt: str
    caption: str
    draw: "Callable[[], Figure]"

    def files(self, kinds: Sequence[str] = FORMATS) -> dict[str, bytes]:
        """The picture's bytes by format: laid out once, the same bytes each time."""
        with style():
            figure = self.draw()
            figure.draw_without_rendering()
            figure.set_layout_engine("none")
            return {kind: written(figure, kind) for kind in kinds}

    def write(self, folder: Path) -> dict[str, bytes]:
        """Write `<name>.svg`, `.pdf` and `.png`; their bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        files = self.files()
        for kind, data in files.items():
            (folder / f"{self.name}.{kind}").write_bytes(data)
        return files
