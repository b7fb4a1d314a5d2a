"""Two trees: the checkout that the gate lies in, and a revision of it beside, for as long as it is needed."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from attnzoo.errors import AttnzooError


def commit(root: Path, revision: str) -> str:
    """The revision's full hash.

    Raises:
        AttnzooError: There is no git, no checkout, or no such revision.
    """
    if _git(root, "rev-parse", "--is-inside-work-tree").stdout.strip() != "true":
        raise AttnzooError(f"`{root}` is no git checkout, so there is no revision to compare with", "clone attnzoo")
    found = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if found.returncode:
        raise AttnzooError(
            f"`{revision}` is no revision of `{root}`", "a shallow clone has few of them: `git fetch --unshallow`"
        )
    return found.stdout.strip()


def changed(root: Path) -> bool:
    """Whether the checkout differs from its commit."""
    return bool(_git(root, "status", "--porcelain").stdout.strip())


@contextmanager
def checked_out(root: Path, revision: str, folder: Path) -> Iterator[Path]:
    """The revision in a git worktree of its own, which is removed afterwards."""
    made = _git(root, "worktree", "add", "--detach", "--quiet", str(folder), revision)
    try:
        if made.returncode:
            raise AttnzooError(
                f"`{revision}` cannot be checked out: {made.stderr.strip().splitlines()[-1]}",
                "`git worktree prune` forgets worktrees that are gone",
            )
        yield folder
    finally:
        _git(root, "worktree", "remove", "--force", str(folder))


def _git(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    try:
        told = _told_to_hooks()
        environment = {name: value for name, value in os.environ.items() if name not in told}
        return subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, check=False, env=environment
        )
    except FileNotFoundError as error:
        raise AttnzooError("`git` is not installed, and base is checked out by it", "install git") from error


@cache
def _told_to_hooks() -> frozenset[str]:
    """Variables that name a hook's repository and index: `git worktree add` would write into the commit being made."""
    asked = ["git", "rev-parse", "--local-env-vars"]
    names = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
    # configuration names no repository, and may be what lets git trust this one
    return frozenset(names) - {"GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT"}
