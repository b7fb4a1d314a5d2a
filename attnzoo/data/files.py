"""Finding the images of a split, and nothing outside the data set."""

import os
import re
from pathlib import Path, PurePosixPath

from attnzoo.data.content import SUFFIXES
from attnzoo.errors import AttnzooError


class Files:
    """The image files below a split's folder, found by the names that annotations give them."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._root = root.resolve()
        self.folder = folder
        self.names = tuple(sorted(_walk(folder)))
        self._by_base: dict[str, list[str]] = {}
        for name in self.names:
            self._by_base.setdefault(PurePosixPath(name).name, []).append(name)

    def find(self, name: str, owner: Path) -> Path | None:
        """The file behind a name, also where it lies in a subfolder (`images/`); None where there is none.

        `owner` is the file that has the name, for messages.

        Raises:
            AttnzooError: For names that lead, or files that are links, out of the data set, and for ambiguous names.
        """
        if problem := _unsafe(name):
            raise AttnzooError(
                f"`{owner}` has the file name {name!r}, which {problem}",
                "file names are relative to the split's folder",
            )
        path = self.folder / name
        if not path.is_file():
            inside = [
                other for other in self._by_base.get(PurePosixPath(name).name, ()) if f"/{other}".endswith(f"/{name}")
            ]
            if len(inside) > 1:
                raise AttnzooError(
                    f"`{name}` in `{owner}` may be `{inside[0]}` or `{inside[1]}`", "write the folder into file_name"
                )
            if not inside:
                return None
            path = self.folder / inside[0]
        if not path.resolve().is_relative_to(self._root):
            raise AttnzooError(f"`{path}` is a link out of the data set", "copy the file into the data set")
        return path


def _walk(folder: Path) -> list[str]:
    """All image files below a folder as posix paths; linked folders and hidden ones are not entered.

    Raises:
        AttnzooError: For a name that is not UTF-8.
    """
    names = []
    for parent, children, files in os.walk(folder):
        children[:] = sorted(child for child in children if not child.startswith("."))
        relative = Path(parent).relative_to(folder)
        images = [file for file in files if Path(file).suffix.lower() in SUFFIXES and not file.startswith(".")]
        for file in images:
            _check_text(Path(parent) / file)
        names += [(relative / file).as_posix() for file in images]
    return names


def _check_text(path: Path) -> None:
    """Python reads any bytes as a name, and fails when it writes them: refused now, and not after the training."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(path).decode(errors="backslashreplace")
        raise AttnzooError(
            f"`{shown}` is not a name in UTF-8, so no table of scores could hold it",
            "rename the file, or the folder that is named so",
        ) from error


def _unsafe(name: str) -> str | None:
    if "\\" in name:
        return "has a backslash in it"
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        return "is absolute"
    if ".." in PurePosixPath(name).parts:
        return "leads out of its folder"
    return None
