"""How small maps are cut: the interpreter takes up to a tenth of a second for each program."""

from collections.abc import Iterator

import pytest

from attnzoo.kernels.triton import (
    applying,
    channels_last,
    gradients,
    one_launch,
    outputs,
    reading,
    returning,
    spreading,
    tiles,
)

from .ground import DEVICE
from .memory import guarded


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
    for name, few in {"SIDE": 4, "COLUMNS": 4, "NARROW": 4, "DEEP": 2, "LONG": 2}.items():
        monkeypatch.setattr(channels_last, name, few)


@pytest.fixture(autouse=True)
def nothing_prepared() -> Iterator[None]:
    """What is made for a form is made anew, as large as this test wants its pieces."""
    yield
    outputs.prepared.cache_clear()
    gradients.prepared.cache_clear()


@pytest.fixture(autouse=True)
def nothing_forgiven() -> Iterator[None]:
    """In the interpreter, what a GPU would not forgive is an error in every case."""
    if DEVICE == "cpu":
        with guarded():
            yield
    else:
        yield


@pytest.fixture(autouse=True)
def few_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    if DEVICE == "cpu":
        monkeypatch.setattr(tiles, "PROGRAMS", 1)


@pytest.fixture
def in_one_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of the forward pass by one program a group, however few there are, several steps each."""
    monkeypatch.setattr(one_launch, "MANY", 1)
    monkeypatch.setattr(one_launch, "HELD", 16)


@pytest.fixture
def in_words_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small maths of the backward pass as for groups that no program can hold."""
    monkeypatch.setattr(returning, "WIDEST", 0)
