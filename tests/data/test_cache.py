"""Where cached things go."""

from pathlib import Path

import platformdirs
import pytest

from attnzoo.data import cache_folder


def test_the_variable_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNZOO_CACHE", "~/somewhere")
    assert cache_folder() == Path.home() / "somewhere"


@pytest.mark.parametrize("value", [None, ""])
def test_else_the_operating_system_does(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("ATTNZOO_CACHE", raising=False)
    if value is not None:
        monkeypatch.setenv("ATTNZOO_CACHE", value)
    assert cache_folder() == platformdirs.user_cache_path("attnzoo")
