"""A run's folder: which run it belongs to, and that one process at a time works in it."""

import json
import os
import re
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from attnzoo.data import Dataset
from attnzoo.errors import AttnzooError
from attnzoo.recipe import Recipe, from_toml
from attnzoo.registry import Plugin, keep_plugin, load_plugin, sources
from attnzoo.results import FILE as RESULT
from attnzoo.results import LOCK, RECIPE, RUN, epochs_done, read_json, write_json, write_text

SCHEMA = 1

_held: set[Path] = set()


class InUseError(AttnzooError):
    """Another process works in the folder."""


def loaded(plugins: Sequence[Plugin | Path | str]) -> tuple[Plugin, ...]:
    """Plugins, their blocks registered; one that was loaded before as it was then."""
    return tuple(keep_plugin(plugin) if isinstance(plugin, Plugin) else load_plugin(plugin) for plugin in plugins)


def identity(recipe: Recipe, data: Dataset, *, devices: int = 1) -> dict[str, Any]:
    """What decides a run's numbers, ready for JSON: two runs with an equal identity are the same run.

    `plugins` are the sources of its blocks that are not attnzoo's own, whether they came by a file, from an installed
    package or from a script; `threads` are torch's CPU threads now; `processes` belong to it because batch norm sees
    its own process's batch.
    """
    return {
        "recipe": recipe.decides(),
        "data": data.digest,
        "plugins": sources(recipe.model.attention),
        "precision": recipe.training.precision,
        "threads": torch.get_num_threads(),
        "processes": devices,
    }


def is_finished(folder: Path, wanted: Mapping[str, Any]) -> bool:
    """Whether a folder holds the result of the run of this identity. Writes nothing.

    Raises:
        AttnzooError: It belongs to another run, finished or not, or to something else.
    """
    if not folder.exists():
        return False
    if not folder.is_dir():
        raise AttnzooError(f"`{folder}` is a file, so no run can be written there", "give the path of a folder")
    if not (folder / RUN).exists():
        # hidden files are those of a run that was killed before it wrote anything
        if strangers := sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")):
            raise AttnzooError(
                f"`{folder}` holds files but no run: `{'`, `'.join(strangers[:3])}`{', …' if strangers[3:] else ''}",
                "give another folder; a run's own folder is new or empty",
            )
        return False
    there = _read(folder)["identity"]
    if there != wanted:
        hint = "give another folder, or delete this one"
        if {**there, "threads": 0} == {**wanted, "threads": 0}:
            hint = f"set OMP_NUM_THREADS={there['threads']} to go on there, or {hint}"
        elif {**there, "plugins": {}} == wanted:
            hint = f"name what registers its block (`--plugin`), or {hint}"
        raise AttnzooError(f"`{folder}` holds another run: {_differences(there, wanted)}", hint)
    return (folder / RESULT).exists()


def begin(folder: Path, wanted: Mapping[str, Any], recipe: Recipe, data: Dataset, plugins: Sequence[Plugin]) -> None:
    """Write down which run the folder is for, and sweep up what a killed one left half-written."""
    for left in folder.glob(".*.tmp"):
        left.unlink()
    paths = [str(plugin.path) for plugin in plugins]
    # first of all files: what lies in a folder without it is somebody else's
    about = {"classes": list(data.classes), "plugins": paths, "data": str(data.root.resolve())}
    write_json(folder / RUN, {"schema": SCHEMA, "identity": wanted, **about})
    write_text(folder / RECIPE, recipe.to_toml())


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of the folder. The system drops the lock when the process ends, however it ends.

    Raises:
        InUseError: Somebody else is in there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    place = folder.resolve()
    # the system's record locks are between processes: they do not see two threads of one
    if place in _held:
        raise _in_use(folder, f"process {os.getpid()}")
    # the file stays behind: two processes could lock two versions of one that comes and goes
    with (folder / LOCK).open("a+", encoding="utf-8") as file:
        if not _take(file.fileno()):
            file.seek(0)
            raise _in_use(folder, file.readline().strip() or "another process")
        file.truncate(0)
        # and for `attnzoo status` the epochs of earlier processes: how long they took, no file's time tells
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n{epochs_done(folder)}\n")
        file.flush()
        _held.add(place)
        try:
            yield
        finally:
            _held.discard(place)


def read_run(folder: Path) -> tuple[Recipe, tuple[str, ...]]:
    """The recipe and the classes of a run, once the blocks of its plugins are registered.

    Raises:
        AttnzooError: No run, a plugin that is gone or has changed, or a recipe that is not the run's any more.
    """
    run = _read(folder)
    for path in run["plugins"]:
        if not Path(path).is_file():
            raise AttnzooError(f"`{folder}` needs the plugin `{path}`, which is not there", "put the file back")
        load_plugin(path)
    try:
        recipe = from_toml((folder / RECIPE).read_text(encoding="utf-8"), name=folder.name, source=str(folder / RECIPE))
    except FileNotFoundError as error:
        raise AttnzooError(f"`{folder / RECIPE}` is missing", "delete the run's folder, and run it again") from error
    if recipe.decides() != run["identity"]["recipe"]:
        raise AttnzooError(f"`{folder / RECIPE}` was changed after the run", "run it into another folder")
    there, now = run["identity"]["plugins"], sources(recipe.model.attention)
    # a block that is not registered any more is told when the model is built
    if changed := [name for name in there if name in now and now[name] != there[name]]:
        raise AttnzooError(
            f"the source of `{changed[0]}` has changed since `{folder}` was run: "
            f"{_short(there[changed[0]])} there, {_short(now[changed[0]])} here",
            "put the old one back, or run it again into another folder",
        )
    return recipe, tuple(run["classes"])


def own_data(folder: Path) -> tuple[Path, str]:
    """Where the data of a run lay when it began, and their digest."""
    run = _read(folder)
    return Path(run["data"]), run["identity"]["data"]


def _read(folder: Path) -> dict[str, Any]:
    run = read_json(folder / RUN, f"`{folder}` holds no run", "give the folder that `attnzoo train` wrote")
    if run.get("schema") != SCHEMA or not {"identity", "classes", "plugins", "data"} <= run.keys():
        raise AttnzooError(f"`{folder / RUN}` is not of schema {SCHEMA}", "run it again with this attnzoo")
    return run


def _take(descriptor: int) -> bool:
    """Lock an open file if nobody else has."""
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        # lockf and not flock: a killed run's workers, who inherit the file, would hold an flock for seconds
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _in_use(folder: Path, who: str) -> InUseError:
    return InUseError(f"`{folder}` is in use by {who}", "wait until it has ended, or give another folder")


def _differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """Every field that differs: "`training.epochs`: 50 there, 2 here"."""
    old, new = _flat(there), _flat(here)
    # the recipe says it as `training.precision`; and other blocks have other sources
    implied = ("precision", "plugins.") if old["model.attention"] != new["model.attention"] else ("precision",)
    return "; ".join(
        f"`{field}`: {_short(old.get(field))} there, {_short(new.get(field))} here"
        for field in dict.fromkeys([*old, *new])
        if old.get(field) != new.get(field) and not field.startswith(implied)
    )


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        path = prefix + key
        flat |= _flat(value, "" if path == "recipe" else f"{path}.") if isinstance(value, dict) else {path: value}
    return flat


def _short(value: Any) -> str:
    """A value as JSON, digests cut to what tells them apart."""
    return re.sub(r"\b([0-9a-f]{12})[0-9a-f]{52}\b", r"\1…", json.dumps(value)) if value is not None else "none"
