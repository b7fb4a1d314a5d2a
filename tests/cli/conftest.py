"""The command in this process, and the recipe of a second as a file."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from attnzoo.cli import main
from attnzoo.recipe import Recipe


class Outcome(NamedTuple):
    """What a shell would see of a command."""

    code: int
    out: str
    err: str


Attnzoo = Callable[..., Outcome]


@pytest.fixture
def attnzoo(capsys: pytest.CaptureFixture[str]) -> Attnzoo:
    """`attnzoo("list", "--json")`."""

    def call(*words: object) -> Outcome:
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return Outcome(code, out, err)

    return call


@pytest.fixture(scope="session", name="tiny")
def tiny_file(tmp_path_factory: pytest.TempPathFactory, tiny: Recipe) -> Path:
    """The recipe of a second, as a file."""
    path = tmp_path_factory.mktemp("recipes") / "tiny.toml"
    path.write_text(tiny.to_toml(), encoding="utf-8")
    return path
