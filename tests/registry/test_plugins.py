"""Blocks from files and from installed packages."""

import copy
import hashlib
import pickle
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from attnzoo import registry
from attnzoo.registry import plugins

from .examples import refused

MEND = "mend it, or leave the plugin out"
PLUGIN = '''"""A block of one's own."""

from typing import ClassVar, Literal

from torch import Tensor, nn

from attnzoo.registry import register


@register("{name}", paper="Nobody: Nothing", year=2026, reference="https://example.org")
class Mine(nn.Module):
    kind: ClassVar[Literal["mix"]] = "mix"

    def __init__(self, channels: int, *, times: float = 2.0) -> None:
        super().__init__()
        self.times = times

    def forward(self, x: Tensor) -> Tensor:
        return x * self.times
'''


@pytest.mark.usefixtures("fresh")
def test_a_plugin_file_gives_blocks_that_copy_and_pickle(tmp_path: Path) -> None:
    file = tmp_path / "my_blocks.py"
    file.write_text(PLUGIN.format(name="mine"))
    plugin = registry.load_plugin(file)
    assert (plugin.path, plugin.names, len(plugin.sha256)) == (file, ("mine",), 64)
    block = registry.build("mine", 3, times=3)
    for twin in (block, copy.deepcopy(block), pickle.loads(pickle.dumps(block))):
        assert twin(torch.ones(1)).item() == 3
    assert registry.load_plugin(str(file)) is plugin, "an unchanged file is not run again: its classes stay the same"
    assert type(registry.build("mine", 3)) is type(block)
    assert list(tmp_path.iterdir()) == [file], "nothing is written beside it"


@pytest.mark.usefixtures("fresh")
def test_a_changed_plugin_replaces_what_it_registered(tmp_path: Path) -> None:
    file = tmp_path / "my_blocks.py"
    file.write_text(PLUGIN.format(name="mine"))
    first = registry.load_plugin(file)
    file.write_text(PLUGIN.format(name="ours").replace("2.0", "5.0"))
    second = registry.load_plugin(file)
    assert (second.names, second.sha256 == first.sha256) == (("ours",), False)
    assert "mine" not in registry.available()
    assert registry.build("ours", 3)(torch.ones(1)).item() == 5


@pytest.mark.usefixtures("fresh")
def test_a_kept_plugin_is_what_it_was(tmp_path: Path) -> None:
    """Here the edited file is not looked at; a process that has to read it says that it is another."""
    file = tmp_path / "my_blocks.py"
    file.write_text(PLUGIN.format(name="mine"))
    plugin = registry.load_plugin(file)
    file.write_text(PLUGIN.format(name="mine").replace("2.0", "5.0"))
    registry.keep_plugin(plugin)
    assert registry.build("mine", 3)(torch.ones(1)).item() == 2
    plugins._plugins.clear()
    told = f"`{file}` has changed since this command began"
    assert refused(lambda: registry.keep_plugin(plugin)) == (told, "put the old one back, or begin another folder")


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(
    ("source", "why", "hint"),
    [
        ("x = 1\n", "registers no block", "put `@attnzoo.register(…)` above a class in it"),
        ("x = 1\ny = x / 0\n", "cannot be loaded: ZeroDivisionError: division by zero (line 2)", MEND),
        ("import nowhere\n", "cannot be loaded: ModuleNotFoundError: No module named 'nowhere' (line 1)", MEND),
        ("\nclass :\n", "cannot be loaded: SyntaxError: invalid syntax (my_blocks.py, line 2)", MEND),
        ("import sys\nsys.exit(3)\n", "cannot be loaded: SystemExit: 3 (line 2)", MEND),
        (
            PLUGIN.format(name="ema"),
            "cannot be loaded: `ema` is attnzoo.blocks.ema.EMA; MODULE.Mine cannot have the name (line 10)",
            "choose another",
        ),
        (PLUGIN.format(name="mine") + "\nraise OSError\n", "cannot be loaded: OSError (line 21)", MEND),
    ],
)
def test_a_failing_plugin_is_told_and_leaves_no_trace(tmp_path: Path, source: str, why: str, hint: str) -> None:
    file = tmp_path / "my_blocks.py"
    file.write_text(source)
    names, modules = registry.available(), set(sys.modules)
    message, said = refused(lambda: registry.load_plugin(file))
    start, _, end = why.partition("MODULE")
    assert message.startswith(f"`{file}` {start}")
    assert message.endswith(end)
    assert said == hint
    assert registry.available() == names
    assert set(sys.modules) == modules


@pytest.mark.usefixtures("fresh")
def test_a_plugin_broken_later_keeps_what_it_gave_before(tmp_path: Path) -> None:
    file = tmp_path / "my_blocks.py"
    file.write_text(PLUGIN.format(name="mine"))
    registry.load_plugin(file)
    block = registry.build("mine", 3)
    file.write_text("oops")
    refused(lambda: registry.load_plugin(file))
    assert type(pickle.loads(pickle.dumps(block))) is type(registry.build("mine", 3)) is type(block)


def test_a_missing_plugin_is_told(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere.py"):
        assert refused(lambda path=path: registry.load_plugin(path)) == (
            f"`{path}` is no file",
            "a plugin is a Python file that registers blocks",
        )


@pytest.mark.usefixtures("fresh")
def test_installed_packages_bring_blocks_and_broken_ones_break_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = {
        "installed_good": PLUGIN.format(name="mine"),
        "installed_late": PLUGIN.format(name="late") + "\nraise OSError('no disk')\n",
        "installed_clash": PLUGIN.format(name="se"),
    }
    for module, source in sources.items():
        (tmp_path / f"{module}.py").write_text(source)
    metadata = tmp_path / "others-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n")
    points = [f"{module.removeprefix('installed_')} = {module}" for module in (*sources, "installed_gone")]
    (metadata / "top_level.txt").write_text("installed_good\n")
    (metadata / "entry_points.txt").write_text("\n".join(["[attnzoo.blocks]", *points, "class = installed_good:Mine"]))
    monkeypatch.syspath_prepend(str(tmp_path))

    assert {"mine", "se", "ema"} <= set(registry.available())
    assert "late" not in registry.available()
    assert registry.entry("se").cls.__module__ == "attnzoo.blocks.se"
    assert registry.broken_plugins() == {
        "clash = installed_clash": "`se` is attnzoo.blocks.se.SE; installed_clash.Mine cannot have the name",
        "gone = installed_gone": "ModuleNotFoundError: No module named 'installed_gone'",
        "late = installed_late": "OSError: no disk",
    }
    digest = hashlib.sha256(sources["installed_good"].encode()).hexdigest()
    assert registry.sources("se+mine") == {"mine": f"installed_good.py {digest}, others 1.0"}
    message, _ = refused(lambda: registry.entry("late"))
    assert message.startswith("`late` is no block; the plugin `clash = installed_clash` is broken: `se` is attnzoo")
    assert message.endswith("; the plugin `late = installed_late` is broken: OSError: no disk")


@pytest.mark.usefixtures("fresh")
def test_the_source_of_a_block_is_what_ran(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN.format(name="mine"))
    digest = registry.load_plugin(file).sha256
    file.write_text("# changed, and not run again")
    ran = {"mine": f"mine.py {digest}"}
    assert registry.sources("mine@bottleneck/se@skip1") == ran
    assert registry.sources("ema:inner=[se+mine:times=3.0]") == ran
    assert registry.sources("none") == registry.sources("ema+nobody") == {}


@pytest.mark.usefixtures("fresh")
def test_a_block_typed_into_a_session_has_its_modules_name(monkeypatch: pytest.MonkeyPatch) -> None:
    session = ModuleType("session")
    monkeypatch.setitem(sys.modules, "session", session)
    exec(PLUGIN.format(name="mine"), session.__dict__)
    assert registry.sources("mine") == {"mine": "session"}
