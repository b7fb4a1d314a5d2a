"""A small finished ablation for the page, and a reader of its HTML."""

import shutil
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest

from attnzoo import spec
from attnzoo.data import Dataset, open_dataset
from attnzoo.recipe import Recipe
from attnzoo.workflows.ablate import ablate
from attnzoo.workflows.execute import Setting

ARMS = "none,ema:groups=2,gate"


@dataclass
class Seen(HTMLParser):
    """What a reader of the page's HTML finds: its elements in order, its words, and where each heading stands."""

    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img", "wbr", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return "".join(self.words)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def text_of(page: Path) -> str:
    """The page's HTML in one line, code in backticks."""
    return " ".join(page.read_text(encoding="utf-8").replace("<code>", "`").replace("</code>", "`").split())


def gaps_of(page: Path) -> str:
    """What the page says is missing."""
    _, _, rest = text_of(page).partition("<h2>What is missing</h2>")
    return rest.partition("</section>")[0]


def read_page(html: str) -> Seen:
    """Parse a page; every element that is opened is closed."""
    seen = Seen()
    seen.feed(html)
    seen.close()
    assert seen.open == []
    return seen


@pytest.fixture(scope="session")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn data set whose test split has several patients."""
    from attnzoo.data.phantom import draw

    return draw(tmp_path_factory.mktemp("data") / "several", patients=12, slices=5, size=64)


@pytest.fixture(scope="session")
def data(several: Path, tiny: Recipe) -> Dataset:
    return open_dataset(several, tiny.data)


@pytest.fixture(scope="session")
def ablation(data: Dataset, tiny: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three arms at two seeds, finished. Tests that write take a copy."""
    folder = tmp_path_factory.mktemp("ablation") / "out"
    ablate(tiny, spec.parse_arms(ARMS), (0, 1), data, folder, Setting(device="cpu"))
    return folder


@pytest.fixture(scope="session")
def page(ablation: Path) -> Path:
    """The page of the ablation; its cases are kept in the ablation's folder."""
    from attnzoo.workflows.report import report

    return report(ablation, device="cpu")


@pytest.fixture(scope="session")
def seen(page: Path) -> Seen:
    return read_page(page.read_text(encoding="utf-8"))


@pytest.fixture
def copy(page: Path, tmp_path: Path) -> Path:
    """The ablation with its report, to be changed."""
    return Path(shutil.copytree(page.parent.parent, tmp_path / "out"))
