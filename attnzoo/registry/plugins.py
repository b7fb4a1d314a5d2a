"""How blocks come in: from our own package, installed packages, and files."""

import hashlib
import importlib
import re
import sys
import threading
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from attnzoo.errors import AttnzooError
from attnzoo.registry.entries import ENTRIES, Entry

GROUP = "attnzoo.blocks"
_broken: dict[str, str] = {}
_plugins: dict[Path, "Plugin"] = {}
_asked: list[str] = []
_alone = threading.RLock()  # one thread loads at a time, and the others wait for all that it finds


@dataclass(frozen=True)
class Plugin:
    """A file of blocks: its absolute path, the SHA-256 of the bytes that ran, and the names that it registered."""

    path: Path
    sha256: str
    names: tuple[str, ...]


def load_all() -> None:
    """Load our blocks and, once, those of installed packages. What breaks there is kept in `broken_plugins()`."""
    with _alone:
        importlib.import_module("attnzoo.blocks")
        if GROUP in _asked:
            return
        _asked.append(GROUP)  # first, since a plugin may ask for what is available while it loads
        for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
            before = dict(ENTRIES)
            try:
                point.load()
            except (Exception, SystemExit) as error:
                _undo(before)
                _broken[f"{point.name} = {point.value}"] = _why(error)


def broken_plugins() -> Mapping[str, str]:
    """Installed plugins that could not be loaded (`name = value` of the entry point), and why."""
    load_all()
    return dict(_broken)


def load_plugin(path: str | Path) -> Plugin:
    """Run a file that registers blocks. An unchanged file is run once; a changed one replaces what it registered.

    Raises:
        AttnzooError: For a file that is missing, fails (with the line where), or registers nothing.
    """
    file = Path(path).resolve()
    if not file.is_file():
        raise AttnzooError(f"`{path}` is no file", "a plugin is a Python file that registers blocks")
    with _alone:
        load_all()
        source = file.read_bytes()
        digest = hashlib.sha256(source).hexdigest()
        known = _plugins.get(file)
        if known is None or known.sha256 != digest:
            known = _plugins[file] = Plugin(file, digest, _run(path, file, source))
        return known


def _run(path: str | Path, file: Path, source: bytes) -> tuple[str, ...]:
    """Run a plugin's bytes as a module of their own; the names that it brought."""
    stem = re.sub(r"\W", "_", file.stem)  # a dot would have pickle look for a package; the path's digest tells apart
    module = ModuleType(f"attnzoo_plugin_{stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}")
    module.__file__ = str(file)
    before, former = dict(ENTRIES), sys.modules.get(module.__name__)
    for name in [name for name, entry in before.items() if module.__name__ in entry.modules]:
        del ENTRIES[name]
    sys.modules[module.__name__] = module  # where pickle and dataclasses look for it
    failure: BaseException | None = None
    try:
        # The bytes that were hashed, and not what an import would take from a stale __pycache__.
        exec(compile(source, str(file), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        failure = error
    names = _brought(module, before)
    if failure is None and names:
        return names
    del sys.modules[module.__name__]
    _undo(before)
    if former is not None:
        sys.modules[module.__name__] = former
    if failure is None:
        raise AttnzooError(f"`{path}` registers no block", "put `@attnzoo.register(…)` above a class in it")
    hint = failure.hint if isinstance(failure, AttnzooError) else "mend it, or leave the plugin out"
    raise AttnzooError(f"`{path}` cannot be loaded: {_why(failure)}{_line(failure, file)}", hint) from failure


def keep_plugin(plugin: Plugin) -> Plugin:
    """Have a plugin's blocks registered as they were when it was loaded, in another process perhaps; the plugin.

    Here it is not run again: what has been edited since would take the place of what is recorded.

    Raises:
        AttnzooError: It has to be run here, and the file is another by now.
    """
    if _plugins.get(plugin.path) != plugin and load_plugin(plugin.path).sha256 != plugin.sha256:
        raise AttnzooError(
            f"`{plugin.path}` has changed since this command began", "put the old one back, or begin another folder"
        )
    return plugin


def loaded(file: Path) -> Plugin | None:
    """The plugin that ran from a file, if one did."""
    return _plugins.get(file)


def _brought(module: ModuleType, before: Mapping[str, Entry]) -> tuple[str, ...]:
    """What is new since, and what the modules had registered that it imports, which may have been imported earlier.

    Of a package, `import package.module` gives the file no more than the package, through which it has the module.
    """
    imported = tuple(
        f"{thing.__name__ if isinstance(thing, ModuleType) else thing.__module__}."
        for thing in vars(module).values()
        if isinstance(thing, ModuleType | type)
    )
    return tuple(
        sorted(
            name
            for name, entry in ENTRIES.items()
            if entry is not before.get(name) or any(f"{home}.".startswith(imported) for home in entry.foreign)
        )
    )


def _undo(before: Mapping[str, Entry]) -> None:
    """Put back what was there before an import failed.

    What sound modules registered meanwhile stays: they stay loaded, and would not register it a second time.
    """
    for name, entry in list(ENTRIES.items()):
        if not all(module in sys.modules for module in entry.modules):
            del ENTRIES[name]
    ENTRIES.update(before)


def _why(error: BaseException) -> str:
    return error.message if isinstance(error, AttnzooError) else f"{type(error).__name__}: {error}".rstrip(": ")


def _line(error: BaseException, file: Path) -> str:
    """Where in the file it happened; a syntax error says so itself, but under another name."""
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return ""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    return f" (line {lines[-1]})" if lines else ""
