"""Blocks from files and from installed packages."""

import copy
import hashlib
import pickle
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest
import torch

from attnzoo import registry
from attnzoo.registry import plugins

from .examples import ABOUT, Scale, refused

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


def install(folder: Path, *points: str) -> None:
    """The metadata of a package `others` with these entry points."""
    metadata = folder / "others-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n")
    (metadata / "top_level.txt").write_text("installed_good\n")
    (metadata / "entry_points.txt").write_text("\n".join(["[attnzoo.blocks]", *points]))


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("name", ["my_blocks.py", "my.blocks v1.py"])
def test_a_plugin_file_gives_blocks_that_copy_and_pickle(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
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
def test_files_whose_names_differ_in_signs_alone_are_two(tmp_path: Path) -> None:
    for file, name in (("my.blocks.py", "one"), ("my_blocks.py", "two")):
        (tmp_path / file).write_text(PLUGIN.format(name=name))
        registry.load_plugin(tmp_path / file)
    one, two = (registry.build(name, 3) for name in ("one", "two"))
    assert type(pickle.loads(pickle.dumps(one))) is type(one) is not type(two)


@pytest.fixture
def helper(fresh: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that can be imported, and registers `helped`."""
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "installed_helper.py"
    file.write_text(PLUGIN.format(name="helped"))
    return file


def test_a_plugin_may_import_its_blocks(tmp_path: Path, helper: Path) -> None:
    first, second = tmp_path / "first.py", tmp_path / "second.py"
    first.write_text("import installed_helper\n")
    second.write_text("from installed_helper import Mine\n")
    assert registry.load_plugin(first).names == ("helped",)
    assert registry.load_plugin(second).names == ("helped",), "whoever imported it first"
    first.write_text("import installed_helper  # changed\n")
    assert registry.load_plugin(first).names == ("helped",)
    assert registry.sources("helped") == {"helped": f"installed_helper.py {sha256(helper)}"}


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("what", ["installed_zoo", "installed_zoo.helper", "installed_zoo.helper as helper"])
def test_a_plugin_may_import_a_packages_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    (tmp_path / "installed_zoo").mkdir()
    (tmp_path / "installed_zoo" / "__init__.py").write_text("from . import helper\n")
    (tmp_path / "installed_zoo" / "helper.py").write_text(PLUGIN.format(name="helped"))
    (tmp_path / "installed_zoological.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("first", "second"):
        file = tmp_path / f"{name}.py"
        file.write_text(f"import {what}\n")
        assert registry.load_plugin(file).names == ("helped",), "whoever imported it first"
    file.write_text("import installed_zoological\n")
    assert refused(lambda: registry.load_plugin(file))[0] == f"`{file}` registers no block"


def test_a_plugin_may_name_the_blocks_of_others(tmp_path: Path, helper: Path) -> None:
    file = tmp_path / "mine.py"
    about = "paper='', year=2026, reference=''"
    lines = [
        "import attnzoo, installed_helper",
        "from attnzoo.blocks.se import SE",
        f"attnzoo.register('mine', {about})(installed_helper.Mine)",
        f"attnzoo.register('se_again', {about})(SE)",
    ]
    file.write_text("\n".join(lines))
    assert registry.load_plugin(file).names == ("helped", "mine", "se_again")
    assert type(registry.build("mine", 3)) is type(registry.build("helped", 3))
    # which class a name means is the file's to say, and the identity of a run has to know
    assert registry.sources("mine+se_again") == {
        "mine": f"installed_helper.py {sha256(helper)}; mine.py {sha256(file)}",
        "se_again": f"mine.py {sha256(file)}",
    }
    file.write_text("\n".join(lines[:-1]).replace("'mine'", "'ours'"))
    assert registry.load_plugin(file).names == ("helped", "ours")
    assert not {"mine", "se_again"} & set(registry.available())


def test_a_plugin_that_only_uses_our_classes_registers_no_block(tmp_path: Path, helper: Path) -> None:
    other, file = tmp_path / "other.py", tmp_path / "mine.py"
    again = "attnzoo.register('se_again', paper='', year=2026, reference='')(SE)\n"
    other.write_text(f"import attnzoo\nfrom attnzoo.blocks.se import SE\n{again}")
    registry.load_plugin(other)
    file.write_text("import attnzoo.blocks.ema\nfrom attnzoo.blocks.se import SE\n")
    assert refused(lambda: registry.load_plugin(file))[0] == f"`{file}` registers no block"


def test_what_a_failing_plugin_imported_soundly_is_not_lost(tmp_path: Path, helper: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("import installed_helper\n1 / 0\n")
    refused(lambda: registry.load_plugin(file))
    file.write_text("import installed_helper\n")
    assert registry.load_plugin(file).names == ("helped",)
    assert registry.build("helped", 3)(torch.ones(1)).item() == 2


@pytest.mark.usefixtures("fresh")
def test_a_broken_installed_plugin_takes_no_sound_one_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "installed_zoo"
    package.mkdir()
    (package / "__init__.py").touch()
    late = PLUGIN.format(name="late")
    (package / "a.py").write_text(f"import installed_zoo.b\n{late}\nimport installed_nowhere\n")
    (package / "b.py").write_text(PLUGIN.format(name="sound"))
    install(tmp_path, "alpha = installed_zoo.a", "beta = installed_zoo.b")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert list(registry.broken_plugins()) == ["alpha = installed_zoo.a"]
    assert "late" not in registry.available()
    assert registry.build("sound", 3)(torch.ones(1)).item() == 2


@pytest.mark.usefixtures("fresh")
def test_threads_that_ask_first_wait_for_all_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow:
        name, value = "slow", "installed_slow"

        def load(self) -> None:
            time.sleep(0.2)
            registry.register("scale", **ABOUT)(Scale)

    monkeypatch.setattr(plugins, "entry_points", lambda group: [Slow()])
    with ThreadPoolExecutor(4) as pool:
        found = [pool.submit(registry.available) for _ in range(4)]
    assert all("scale" in names.result() for names in found)


@pytest.mark.usefixtures("fresh")
def test_installed_packages_bring_blocks_and_broken_ones_break_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = {
        "installed_good": PLUGIN.format(name="mine"),
        "installed_late": PLUGIN.format(name="late") + "\nraise OSError('no disk')\n",
        "installed_clash": PLUGIN.format(name="se"),
        "installed_exits": "import sys\nsys.exit(3)\n",
    }
    for module, source in sources.items():
        (tmp_path / f"{module}.py").write_text(source)
    points = [f"{module.removeprefix('installed_')} = {module}" for module in (*sources, "installed_gone")]
    install(tmp_path, *points, "class = installed_good:Mine")
    monkeypatch.syspath_prepend(str(tmp_path))

    assert {"mine", "se", "ema"} <= set(registry.available())
    assert "late" not in registry.available()
    assert registry.entry("se").cls.__module__ == "attnzoo.blocks.se"
    assert registry.broken_plugins() == {
        "clash = installed_clash": "`se` is attnzoo.blocks.se.SE; installed_clash.Mine cannot have the name",
        "exits = installed_exits": "SystemExit: 3",
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
