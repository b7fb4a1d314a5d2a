"""`attnzoo list` and `attnzoo show`."""

import json
import subprocess
import sys
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
        return x + self.added(x)

    def added(self, x: Tensor) -> Tensor:
        return x
"""


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plugin") / "wide.py"
    path.write_text(PLUGIN, encoding="utf-8")
    return path


def test_list_has_a_row_per_block_in_groups(attnzoo: Attnzoo) -> None:
    done = attnzoo("list")
    assert (done.code, done.err) == (0, "")
    tables = done.out.split("\n\n")
    titles, bodies = tables[::2], [table.splitlines() for table in tables[1::2]]
    # other tests of this process may have registered blocks of their own
    assert {title.partition(":")[0] for title in titles} == {
        registry.entry(name).group for name in registry.available()
    }
    assert [title.partition(":")[0] for title in (*titles[:2], titles[-1])] == ["attnzoo", "controls", "timm"]
    for title, (header, _, *rows) in zip(titles, bodies, strict=True):
        group, number = title.split(": ")
        assert header.split() == ["name", "year", "gated", "dims", "parameters", "at", "64", "paper"]
        names = [name for name in registry.available() if registry.entry(name).group == group]
        assert [row.split()[0] for row in rows] == names
        assert int(number) == len(names)
    gate = next(row for row in bodies[0] if row.startswith("gate "))
    assert gate.split()[:6] == ["gate", "2018", "yes", "2,", "3", "4,323"]
    broken = next(row for row in bodies[-1] if row.startswith("timm_ge "))
    assert broken.split()[:5] == ["timm_ge", "2018", "no", "2", "n/a"]


@pytest.mark.parametrize("width", [80, 120])
def test_list_fits_a_terminal(attnzoo: Attnzoo, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    whole = attnzoo("list").out.splitlines()
    assert max(map(len, whole)) > width  # a pipe gets it all
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    shown = attnzoo("list").out.splitlines()
    assert max(map(len, shown)) <= width
    for before, after in zip(whole, shown, strict=True):
        assert after == before or (after.endswith("…") and before.startswith(after.removesuffix("…")))


def test_the_registry_is_listed_without_timm() -> None:
    # which takes as long to import as torch does
    program = "import sys; from attnzoo import registry; registry.available(); sys.exit('timm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_list_as_json(attnzoo: Attnzoo) -> None:
    rows = {row["name"]: row for row in json.loads(attnzoo("list", "--json").out)}
    assert rows["ema"]["parameters"] == 48
    assert rows["ema"]["gated"] is False
    assert rows["gate"]["listens"] == "upsampled"
    assert (rows["frozen"]["wraps"], rows["frozen"]["group"]) == ("block", "controls")
    assert (rows["timm_se"]["parameters"], rows["timm_se"]["group"]) == (1096, "timm")


@pytest.mark.usefixtures("fresh")
def test_a_plugins_block_is_listed_even_where_64_channels_do_not_fit(attnzoo: Attnzoo, plugin: Path) -> None:
    rows = {row["name"]: row for row in json.loads(attnzoo("list", "--json", "--plugin", plugin).out)}
    assert rows["wide_only"]["parameters"] is None
    assert rows["wide_only"]["group"] == "wide.py"
    titles = [line for line in attnzoo("list", "--plugin", plugin).out.splitlines() if ": " in line[:12]]
    assert "wide.py: 1" in titles[2:-1]
    shown = attnzoo("show", "wide_only", "--plugin", plugin).out
    assert "parameters at 64 channels: n/a" in shown
    assert "No docstring." in shown  # and not that of torch.nn.Module


RAISES = """raise AttnzooError(f"`wide_only` cannot live with {channels} channels", "take more")"""


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("instead", ['raise ValueError("too narrow")', "self.mix = nn.LazyConv2d(1, 1)"])
def test_a_block_that_fails_in_its_own_way_spoils_no_list(attnzoo: Attnzoo, tmp_path: Path, instead: str) -> None:
    own = tmp_path / "own.py"
    own.write_text(PLUGIN.replace(RAISES, instead), encoding="utf-8")
    for words in (("list", "--json"), ("list",), ("show", "wide_only")):
        done = attnzoo(*words, "--plugin", own)
        assert (done.code, done.err) == (0, "")
    assert "parameters at 64 channels: n/a" in done.out


@pytest.mark.usefixtures("fresh")
def test_what_was_typed_and_cannot_be_built_is_told(attnzoo: Attnzoo, tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(PLUGIN.replace(RAISES, 'raise ValueError("too narrow")'), encoding="utf-8")
    assert attnzoo("safety", "wide_only:least=65", "--cheap", "--plugin", own) == (
        2,
        "",
        "error: `wide_only:least=65` cannot be built: too narrow\n"
        "hint: take other options or another width, or mend the block\n",
    )


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


def test_show_leaves_to_a_wrapper_what_the_block_within_decides(attnzoo: Attnzoo) -> None:
    shown = attnzoo("show", "frozen").out
    assert "block   [blocks]  [ema]" in shown
    assert "kind:" not in shown
    assert "gated:" not in shown


def test_show_helps_with_a_typo(attnzoo: Attnzoo) -> None:
    assert attnzoo("show", "emma") == (2, "", "error: `emma` is no block\nhint: did you mean `ema`?\n")
