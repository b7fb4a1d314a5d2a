"""The safety matrix: its probes find what is planted, and the committed page is what they find."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attnzoo import registry, spec
from attnzoo.errors import AttnzooError
from attnzoo.workflows.safety import COLUMNS, Row, deep, matrix, page
from attnzoo.workflows.safety.cell import Cell

DOCS = Path(__file__).parents[2] / "docs"
COMMITTED = page.from_json(json.loads((DOCS / "blocks.json").read_text(encoding="utf-8"))["blocks"])
CHEAP = tuple(name for name, column in COLUMNS.items() if not column.costly)
ABOUT: dict[str, Any] = {"paper": "Nobody: Nothing", "year": 2026, "reference": "https://example.org"}


class Base(nn.Module):
    """A block of one weight, which each test spoils in its own way."""

    kind: ClassVar = "mix"

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))


class Branching(Base):
    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight if x.mean() > 0 else -x


class Standardising(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x / x.std((2, 3), keepdim=True)


class Normed(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.weight * F.batch_norm(x.mean((2, 3), keepdim=True), None, None, training=self.training) + x


class Pooling(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x + F.adaptive_avg_pool2d(x, (2, 3)).mean((2, 3), keepdim=True)


class Frozen(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x[:, :, : int(torch.tensor(x.shape[2]))] + len(x[0, 0])


class Squaring(Base):
    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x.square()


class Planar(Base):
    def forward(self, x: Tensor) -> Tensor:
        return (self.weight * x).contiguous(memory_format=torch.contiguous_format)


@pytest.fixture
def ask(fresh: None) -> Iterator[Any]:
    def ask(cls: type[nn.Module], column: str) -> tuple[str, str]:
        registry.register("own", **ABOUT)(cls)
        (row,) = matrix([spec.Block("own")], [column])
        return row.cells[column].value, row.cells[column].reason

    return ask


@pytest.mark.parametrize(
    ("cls", "column", "value", "reason"),
    [
        (Branching, "traced", "no", "Data-dependent"),
        (Branching, "odd", "yes", ""),
        (Standardising, "one", "no", "not finite"),
        (Normed, "single", "no", "Expected more than 1 value per channel"),
        (Pooling, "deterministic", "no", "`_adaptive_avg_pool2d_backward` has no deterministic form on CUDA"),
        (Planar, "channels_last", "values", "in another memory format"),
        (Squaring, "identity", "×", "relative to the skip's"),
        (Squaring, "fp16", "×10", "at 256×256"),
        (Planar, "fp16", "×1,000", "at 256×256"),
    ],
)
def test_finds_what_is_planted(cls: type[nn.Module], column: str, value: str, reason: str, ask: Any) -> None:
    found, why = ask(cls, column)
    assert found.startswith(value)
    assert reason in why


def test_a_size_kept_from_the_export_is_found(ask: Any) -> None:
    assert ask(Frozen, "export")[0] == "no"


def test_a_block_that_cannot_be_built_is_refused_before_any_is_tried() -> None:
    with pytest.raises(AttnzooError, match="`ema` cannot split 64 channels into groups=48"):
        matrix([spec.parse_block("ema:groups=48")])


def test_a_missing_runtime_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deep, "find_spec", lambda name: None if name == "onnxscript" else object())
    with pytest.raises(AttnzooError) as caught:
        matrix([spec.Block("se")], ["onnx"])
    assert str(caught.value) == (
        "the column `onnx` needs the package `onnxscript`\nhint: install `attnzoo[onnx]`, or leave the column out"
    )


def test_a_missing_runtime_spoils_no_other_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deep, "find_spec", lambda name: None)
    monkeypatch.setattr("attnzoo.workflows.safety._answer", lambda subject, column: Cell("yes"))
    said: list[str] = []
    (row,) = matrix([spec.Block("se")], say=said.append)
    assert tuple(row.cells) == tuple(COLUMNS)
    assert [name for name, cell in row.cells.items() if cell.value != "yes"] == ["onnx"]
    assert row.cells["onnx"].value == "not tried"
    assert said == ["the column `onnx` needs the package `onnx` and is not tried: install `attnzoo[onnx]`"]
    assert "not tried" in page.table([row]).rows[0]


def test_an_unknown_block_is_said_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deep, "find_spec", lambda name: None)
    for columns in (None, ["onnx"]):
        with pytest.raises(AttnzooError, match="`seee` is no block"):
            matrix([spec.Block("se"), spec.Block("seee")], columns)


def test_the_committed_rows_are_the_registry_s() -> None:
    # other tests of this process may have registered blocks of their own
    ours = [name for name in registry.available() if registry.entry(name).group in ("attnzoo", "controls", "timm")]
    assert [row.block for row in COMMITTED] == ours
    assert all(tuple(row.cells) == tuple(COLUMNS) for row in COMMITTED)


def test_the_committed_page_is_made_of_the_committed_cells() -> None:
    recorded = json.loads((DOCS / "blocks.json").read_text(encoding="utf-8"))
    assert (DOCS / "blocks.md").read_text(encoding="utf-8") == page.markdown(COMMITTED, recorded["environment"])


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(
    ("reference", "shown"),
    [
        ("https://example.org/paper", "[Nobody: Nothing](https://example.org/paper)"),
        ("arXiv:1709.01507", "[Nobody: Nothing](https://arxiv.org/abs/1709.01507)"),
        ("my thesis", "Nobody: Nothing"),
    ],
)
def test_a_paper_is_linked_where_it_has_an_address(reference: str, shown: str) -> None:
    registry.register("own", **{**ABOUT, "reference": reference})(Squaring)
    written = page.markdown([Row("own", {"dims": Cell("2-D")})], {"versions": dict.fromkeys(page.VERSIONS, "1")})
    assert f"| `own` | {shown} | 2026 |" in " ".join(written.split())


def test_every_no_has_its_reason() -> None:
    assert all(cell.reason for row in COMMITTED for cell in row.cells.values() if cell.value in ("no", "values"))


@pytest.mark.parametrize("row", COMMITTED, ids=lambda row: row.block)
def test_the_cheap_cells_are_as_committed(row: Row) -> None:
    _compare(row, CHEAP)


@pytest.mark.slow
@pytest.mark.parametrize("row", COMMITTED, ids=lambda row: row.block)
def test_the_costly_cells_are_as_committed(row: Row) -> None:
    _compare(row, tuple(name for name in COLUMNS if name not in CHEAP))


def _compare(row: Row, columns: tuple[str, ...]) -> None:
    (found,) = matrix([spec.parse_block(row.block)], columns)
    for name in columns:
        was, is_now = row.cells[name], found.cells[name]
        if name == "identity" and was.value.startswith("×"):
            # another processor rounds its two digits otherwise
            assert is_now.value.startswith("×"), is_now.reason
            assert float(is_now.value[1:]) == pytest.approx(float(was.value[1:]), abs=0.011)
        else:
            assert is_now.value == was.value, (name, is_now.reason)
