"""Where the time of EMA's kernels goes on a GPU, and which constants of theirs are best: in one call of three minutes.

    python3 -m benchmarks.tuning                              # in the repository's root, on the GPU's machine
    TRITON_INTERPRET=1 python3 -m benchmarks.tuning --device cpu --quick --out /tmp/out    # to see that it works

First each pass by itself beside a copy of the map, then each constant's neighbours beside the constant; large batches
first. The constants are left as they are: who takes what is best, by hand, runs it again. A constant that several
passes share has a row for each. Writes tuning-NAME-DATE.json as `gpu.py` does.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from attnzoo.errors import AttnzooError
from attnzoo.kernels import triton
from attnzoo.measure.machine import resolve

from .on_gpu.blocks import BATCHES
from .on_gpu.session import METHOD, Session
from .scripts import ended, json_file

PARTS = ("passes", "constants")


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A line for each pass of each map: what it takes, and what its best candidate would make of that."""
    drawn = [("pass", "map", "x copy", "at least", "best", "x now", "p10-p90", "refused")]
    met = {(*row["row"].split(" / "), row["at"]): row for row in rows}
    for name, at in dict.fromkeys((name, at) for name, _, at in met):
        beside, swept = met.get((name, "copy", at)), met.get((name, "now", at))
        takes = ("-", "-") if beside is None else (f"{beside['value']:.2f}", f"{beside['least']:.2f}")
        best = ("-",) * 4
        if swept is not None:
            spread = swept["ratio"][swept["best"]]
            ratio = (f"{swept['value']:.3f}", f"{spread['p10']:.3f}-{spread['p90']:.3f}")
            best = (
                swept["best"],
                *ratio,
                ", ".join(f"{said} {why.partition(':')[0]}" for said, why in swept["refused"].items()) or "none",
            )
        drawn.append((name, at, *takes, *best))
    wide = [max(map(len, column)) for column in zip(*drawn, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, wide)).rstrip() for line in drawn)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda or cuda:1; cpu for Triton's interpreter")
    parser.add_argument("--quick", action="store_true", help="one tiny map, whose figures mean nothing")
    parser.add_argument("--out", type=Path, help="folder of the JSON")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="some parts")
    parser.add_argument("--minutes", type=float, default=3.0, help="after which nothing further is begun")
    asked = parser.parse_args()
    device = resolve(asked.device)
    if not triton.serves(torch.empty(1, 1, 1, 2, device=device)):
        raise AttnzooError(
            f"`{asked.device}` runs none of Triton's kernels", "take a GPU, or set TRITON_INTERPRET=1 and `--quick`"
        )
    from .on_gpu import constants  # here, as it wants Triton

    name = "cpu"
    if device.type == "cuda":
        torch.cuda.set_device(device)
        name = torch.cuda.get_device_name(device)
    session = Session(device, asked.quick, json_file("tuning", name, asked), time.monotonic() + 60 * asked.minutes)
    session.about["method"] = (
        f"{METHOD} All here is `graph`, of launches alone. A candidate is timed if all that EMA finds by it, forward "
        f"and backward, is at most {constants.FARTHEST} times as far from float64 as the readable form."
    )
    parts = dict(zip(PARTS, (constants.where, constants.best), strict=True))
    with constants.compilers(session) as build:
        for batch in sorted(BATCHES, reverse=True):
            for what in asked.only or PARTS:
                session.run(f"{what}, batch {batch}", partial(parts[what], build=build, batch=batch))
    print(table(session.rows), session.out, sep="\n")


if __name__ == "__main__":
    sys.exit(ended(main))
