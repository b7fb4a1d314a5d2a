"""What a run leaves behind: one JSON file, written whole or not at all."""

import errno
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO, Self

from attnzoo.errors import AttnzooError

SCHEMA = 1
FILE = "result.json"
# the other files of a run's folder, named here for those who write them and for those who read them without torch
RUN, RECIPE, LOCK = "run.json", "recipe.toml", ".lock"
CURVES, SCORES, CONFUSION = "curves.csv", "scores.csv", "confusion.npz"
SCORE_COLUMNS = ("image", "group", "class", "metric", "value")
ALL = "all"  # the class of what is a score of all classes together


@dataclass(frozen=True)
class Result:
    """A finished run: what was asked, what came out, and where it was computed.

    `identity` decides whether two runs are the same run (recipe, data digest, plugins, precision, CPU threads);
    everything in `environment` is recorded and decides nothing. Scores are fractions in 0…1, or None where a class is
    undefined.
    """

    attention: str
    seed: int
    classes: tuple[str, ...]
    parameters: int
    identity: Mapping[str, Any]
    best_epoch: int
    selected_by: str
    best_score: float
    validation: Mapping[str, Any]
    test: Mapping[str, Any]
    insertions: tuple[Mapping[str, Any], ...] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)
    duration_s: float = 0.0
    schema: int = SCHEMA

    def write(self, folder: Path) -> None:
        """Write `result.json` into the run's folder."""
        write_json(folder / FILE, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read a finished run's folder."""
        if not folder.is_dir():
            raise AttnzooError(f"there is no run `{folder}`", "check the path")
        # an ablation holds arms, which hold seeds
        below = next((path for depth in ("*", "*/*") for path in sorted(folder.glob(f"{depth}/{FILE}"))), None)
        hint = "finish it: run the same command again" if below is None else f"name a run in it: `{below.parent}`"
        table = read_json(folder / FILE, f"`{folder}` holds no finished run", hint)
        if table.get("schema") != SCHEMA:
            raise AttnzooError(
                f"`{folder / FILE}` is of schema {table.get('schema')}, not {SCHEMA}", "run it again with this attnzoo"
            )
        try:
            return cls(**{**table, "classes": tuple(table["classes"]), "insertions": tuple(table["insertions"])})
        except (KeyError, TypeError) as error:
            raise AttnzooError(
                f"`{folder / FILE}` is not a result: {error}", "run it again into another folder"
            ) from error


def write_json(path: Path, table: Any) -> None:
    """Write JSON so that a reader never meets half a file."""
    write_text(path, json.dumps(table, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file in one step, as `write_json` does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace(path, lambda file: file.write(text.encode()))


def replace(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file so that a crash leaves the old one or the new one: beside the target, fsync, then replace.

    Lightning's own "atomic" saving goes through the temporary folder, and is not atomic between file systems.

    Raises:
        AttnzooError: The disk is full; the old file is there, and no part of the new one.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException as error:
        beside.unlink(missing_ok=True)
        if _is_full(error):
            raise AttnzooError(
                f"the disk is too full for `{path}`", "make room, and run the same command again"
            ) from error
        raise


def _is_full(error: BaseException | None) -> bool:
    """Whether a disk that is full is behind it: torch says so in words of its own."""
    while error is not None and not (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)):
        error = error.__cause__ or error.__context__
    return error is not None


def epochs_done(folder: Path) -> int:
    """How many epochs `curves.csv` shows."""
    try:
        return max(0, (folder / CURVES).read_text(encoding="utf-8").count("\n") - 1)
    except FileNotFoundError:
        return 0


def read_json(path: Path, missing: str, hint: str) -> dict[str, Any]:
    """Read a JSON object; `missing` and `hint` make the error where there is no such file."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise AttnzooError(missing, hint) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise AttnzooError(f"`{path}` is not JSON: {error}", "delete it, and run the same command again") from error
    if not isinstance(table, dict):
        raise AttnzooError(f"`{path}` is not a JSON object", "delete it, and run the same command again")
    return table


def environment() -> dict[str, Any]:
    """The machine, the versions and the commit: recorded in every result, part of no identity."""
    names = (
        "attnzoo",
        "torch",
        "torchvision",
        "lightning",
        "torchmetrics",
        "segmentation-models-pytorch",
        "timm",
        "numpy",
    )
    versions: dict[str, str] = {"python": platform.python_version()}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "absent"
    return {
        "machine": {"system": platform.platform(), "processor": _processor(), "cpus": os.cpu_count()},
        "versions": versions,
        "commit": _commit(),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def _processor() -> str:
    """The processor's trade name where the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    """The commit of the checkout that this package is imported from, marked where files differ; None when installed."""
    package = Path(__file__).parent
    if not (package.parent / ".git").exists():
        return None
    try:
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=package,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return commit.stdout.strip()
