"""How small maps are cut: the interpreter takes up to a tenth of a second for each program."""

import pytest

from attnzoo.kernels.triton import applying, reading, spreading, tiles

from .ground import DEVICE


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces so small that several make a small map, each of several steps."""
    monkeypatch.setattr(tiles, "ELEMENTS", 16)
    monkeypatch.setattr(tiles, "SPAN", 4)
    monkeypatch.setattr(tiles, "SHORTEST", 4)
    monkeypatch.setattr(tiles, "SIDE", 4)
    monkeypatch.setattr(reading, "HELD", 16)
    monkeypatch.setattr(spreading, "HELD", 16)
    monkeypatch.setattr(applying, "HELD", 16)
    monkeypatch.setattr(applying, "DEEP", 2)


@pytest.fixture(autouse=True)
def few_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    if DEVICE == "cpu":
        monkeypatch.setattr(tiles, "PROGRAMS", 1)
