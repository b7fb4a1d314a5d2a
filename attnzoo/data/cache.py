"""Where computed things are kept between runs."""

import contextlib
import os
import secrets
from pathlib import Path

from platformdirs import user_cache_path

from attnzoo.errors import AttnzooError


def cache_folder() -> Path:
    """`$ATTNZOO_CACHE`, or the place where this operating system wants caches; it may not exist yet."""
    chosen = os.environ.get("ATTNZOO_CACHE")
    return Path(chosen).expanduser() if chosen else user_cache_path("attnzoo")


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file of the cache so that concurrent readers and writers see either nothing or all of it.

    No fsync: after a power cut a cached file may be empty, and readers of the cache make such a file again.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(content)
        beside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise AttnzooError(
            f"the cache folder `{cache_folder()}` cannot be written: {error.strerror}",
            "set ATTNZOO_CACHE to a folder with free space",
        ) from error
