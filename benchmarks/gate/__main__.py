"""Fails if head, the working tree, is ten per cent slower than a revision in any benchmark, or measures less than it.

    python -m benchmarks.gate --against main
    python -m benchmarks.gate --against v0.1 --only block/ema --json gate.json
    python -m benchmarks.gate --list                     # the names, as JSON

A table on stdout, what is going on on stderr. Ends with 1 if the gate fails, and with 2 if it could not be asked.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attnzoo.errors import AttnzooError
from benchmarks.refusals import refuse

from . import tree, verdict
from .run import Report, gate
from .side import Side
from .table import table

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = 1


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    asked_for = parser.add_mutually_exclusive_group(required=True)
    asked_for.add_argument("--against", metavar="REV", help="the revision that head is compared with")
    asked_for.add_argument("--list", action="store_true", help="print the names of all benchmarks, and time none")
    parser.add_argument("--only", metavar="WORD", help="names with this word in them; no verdict on the whole")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of each side; 1 is the least noisy")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every ratio, the machine and the method")
    asked = parser.parse_args(arguments)
    try:
        refuse(lambda option: None, os.environ)
        if asked.list:
            from benchmarks import cases

            print(json.dumps(cases.names(), indent=1))
            return 0
        report, about = measured(root, asked)
        if asked.json is not None:
            content = {"schema": SCHEMA, "passed": not report.failures, **about, **asdict(report)}
            asked.json.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    except AttnzooError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    table(report, about)
    return 1 if report.failures else 0


def measured(root: Path, asked: argparse.Namespace) -> tuple[Report, dict[str, Any]]:
    """Check base out, compare, and clean up; the report, and how it came about."""
    if asked.json is not None and not asked.json.parent.is_dir():
        raise AttnzooError(f"`{asked.json}` cannot be written: its folder is not there", "make the folder first")
    if asked.threads < 1:
        raise AttnzooError(f"`--threads {asked.threads}` cannot be: a side needs one or more", "leave it out")
    revision = tree.commit(root, asked.against)
    with tempfile.TemporaryDirectory(prefix="attnzoo-gate-") as scratch:
        beside = Path(scratch)
        with tree.checked_out(root, revision, beside / "base") as base_tree:

            def side(word: str, home: Path, definitions: Path) -> Side:
                place = beside / f"run-{word}"
                return Side(word, home, definitions, place, device=asked.device, threads=asked.threads)

            @contextmanager
            def opened() -> Iterator[tuple[Side, Side]]:
                with closing(side("base", base_tree, root)) as base, closing(side("head", root, root)) as head:
                    yield base, head

            own = (base_tree / "benchmarks" / "cases").is_dir()  # older revisions have no list of their own
            say("reading base's list")
            with closing(side("base", base_tree, base_tree if own else root)) as base:
                before = base.names
                machine = base.ask("machine")
            report = gate(opened, before, say, lambda name: asked.only is None or asked.only in name)
            if asked.only is not None and not report.rows and not any(asked.only in name for name in before):
                raise AttnzooError(f"no benchmark has `{asked.only}` in its name", "see `--list`")
    return report, {
        "base": {"revision": asked.against, "commit": revision, "own_list": own},
        "head": {"commit": tree.commit(root, "HEAD"), "changed": tree.changed(root)},
        "method": {
            "order": "rounds of ABBA between two processes; confirmed by BAAB between two others",
            "bar": verdict.BAR,
            "rounds": verdict.LOOKS,
            "interval": f"of the median of rounds' ratios, by the sign test at {verdict.ALPHA:g} for each look",
            "window_seconds": verdict.WINDOW_S,
            "threads": asked.threads,
        },
        "machine": machine,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def say(line: str) -> None:
    """A line of talk; on a terminal it overwrites the one before."""
    end = "\r" if sys.stderr.isatty() else "\n"
    print(f"\x1b[2K{line}" if sys.stderr.isatty() else line, end=end, file=sys.stderr, flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # base's worktree goes with us
    sys.exit(main())
