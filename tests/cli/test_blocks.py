"""`attnzoo list` and `attnzoo show`."""

import json
from pathlib import Path

import pytest

from attnzoo import registry

from .conftest import Attnzoo

PLUGIN = """
from torch import Tensor, nn
from attnzoo.registry import register


@register("wide_only", paper="Somebody: Wide", year=2026, reference="https://example.org")
class WideOnly(nn.Module):
    kind = "add"

    def __init__(self, channels: int, *, least: int = 1000) -> None:
        super().__init__()
        if channels < least:
            from attnzoo.errors import AttnzooError
            raise AttnzooError(f"`wide_only` cannot live with {channels} channels", "take more")

    def forward(self, x: Tensor) -> Tensor:
        return x
"""


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plugin") / "wide.py"
    path.write_text(PLUGIN, encoding="utf-8")
    return path


def test_list_has_a_row_per_block(attnzoo: Attnzoo) -> None:
    done = attnzoo("list")
    assert (done.code, done.err) == (0, "")
    header, _, *rows = done.out.splitlines()
    assert header.split() == ["name", "year", "gated", "dims", "parameters", "at", "64", "paper"]
    assert [row.split()[0] for row in rows] == list(registry.available())
    gate = next(row for row in rows if row.startswith("gate "))
    assert gate.split()[:6] == ["gate", "2018", "yes", "2,", "3", "4,323"]


def test_list_as_json(attnzoo: Attnzoo) -> None:
    rows = {row["name"]: row for row in json.loads(attnzoo("list", "--json").out)}
    assert rows["ema"]["parameters"] == 48
    assert rows["ema"]["gated"] is False
    assert rows["gate"]["listens"] == "upsampled"


@pytest.mark.usefixtures("fresh")
def test_a_plugins_block_is_listed_even_where_64_channels_do_not_fit(attnzoo: Attnzoo, plugin: Path) -> None:
    rows = {row["name"]: row for row in json.loads(attnzoo("list", "--json", "--plugin", plugin).out)}
    assert rows["wide_only"]["parameters"] is None
    shown = attnzoo("show", "wide_only", "--plugin", plugin).out
    assert "parameters at 64 channels: n/a" in shown
    assert "No docstring." in shown  # and not that of torch.nn.Module


def test_broken_plugins_are_talk(attnzoo: Attnzoo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "broken_plugins", lambda: {"x = y": "ImportError: no"})
    done = attnzoo("list")
    assert done.err == "warning: the installed plugin `x = y` is broken: ImportError: no\n"
    assert "x = y" not in done.out


def test_show_has_docstring_options_and_reference(attnzoo: Attnzoo) -> None:
    done = attnzoo("show", "ema")
    assert (done.code, done.err) == (0, "")
    for part in (
        "Deviations:",
        "Reference:",
        "groups  int or auto  32",
        "kind: scale",
        "gated: no",
        "parameters at 64 channels: 48",
    ):
        assert part in done.out


def test_show_says_what_a_gated_block_hears(attnzoo: Attnzoo) -> None:
    assert "gated: listens to the upsampled decoder feature" in attnzoo("show", "gate").out


def test_show_helps_with_a_typo(attnzoo: Attnzoo) -> None:
    assert attnzoo("show", "emma") == (2, "", "error: `emma` is no block\nhint: did you mean `ema`?\n")
