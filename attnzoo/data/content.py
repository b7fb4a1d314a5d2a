"""The bytes of a file, before anyone makes sense of them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from attnzoo.errors import AttnzooError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm", ".gif")
_LFS = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True)
class Content:
    """What bytes tell: their SHA-256, and whether a PNG's EXIF may be among them."""

    digest: str
    exif: bool


def content(path: Path) -> Content:
    """Read a file once. Releases the interpreter's lock for most of the time, so threads help."""
    data = read_bytes(path)
    return Content(hashlib.sha256(data).hexdigest(), b"eXIf" in data or b"Raw profile type exif" in data)


def read_bytes(path: Path) -> bytes:
    """The bytes of a file. Raises AttnzooError where it cannot be read, or only stands for one that Git LFS holds."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise AttnzooError(
            f"`{path}` cannot be read: {error.strerror}", "see to the file and its permissions"
        ) from error
    if data.startswith(_LFS):
        raise AttnzooError(f"`{path}` is a Git LFS pointer, not the file itself", "fetch the files: git lfs pull")
    return data
