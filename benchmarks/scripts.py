"""What `cpu`, `gpu`, `tuning` and `twins` share: where their JSON goes, and how they end."""

import argparse
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

from attnzoo.errors import AttnzooError


def json_file(script: str, machine: str, asked: argparse.Namespace) -> Path:
    """The machine's file of this day. A quick run and a part say so in their names, or they would replace the whole."""
    folder = asked.out or Path(os.environ.get("OUT") or Path(__file__).parent / "results")
    words = [script, machine, time.strftime("%Y-%m-%d"), *(["quick"] if asked.quick else []), *(asked.only or [])]
    return folder / f"{re.sub('[^a-z0-9]+', '-', '-'.join(words).lower())}.json"


def ended(script: Callable[[], None]) -> int:
    """Run it; a mistake that a user can mend is two lines and exit code 2, as the gate's."""
    try:
        script()
    except AttnzooError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
