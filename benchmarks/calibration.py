"""Do 95 % intervals cover, are A/A ablations left alone, and is the announced smallest difference found?

    python -m benchmarks.calibration                # minutes; a table on stdout, benchmarks/results/calibration.json
    python -m benchmarks.calibration --ablations 50 --out /tmp/calibration.json

What is drawn stands in `ablations.py`.
"""

import argparse
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.ablations import World, with_power, worlds

DRAWS, PERMUTATIONS = 200, 300
COLUMNS = ("world", "differences covered", "scores covered", "false calls", "smallest", "found")
METHOD = (
    "per world {ablations} ablations without a difference (`none` and three arms), then {planted} with one arm "
    "better by the median of the smallest differences announced there; seeds 0 and 1; {draws} bootstrap draws and "
    "{swaps} swaps an ablation; intervals of 95 %, Holm over three arms. covered: true differences within their "
    "intervals; scores_covered: true scores within theirs; false_calls: ablations that call any arm without a "
    "difference a gain or a loss; found: ablations that call the planted gain one; smallest: the median announced"
)


def row(name: str, world: World, ablations: int) -> dict[str, Any]:
    null, planted = with_power(world, ablations, ablations * 2 // 5, draws=DRAWS, permutations=PERMUTATIONS)
    return {"world": name, "of": asdict(world), "null": asdict(null), "planted": planted and asdict(planted)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ablations", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "calibration.json")
    asked = parser.parse_args()
    begun = time.monotonic()
    rows = []
    print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|")
    with ProcessPoolExecutor(asked.processes) as pool:
        for one in pool.map(row, worlds(), worlds().values(), [asked.ablations] * len(worlds())):
            rows.append(one)
            null, planted = one["null"], one["planted"]
            cells = [f"{null[key]:.3f}" for key in ("covered", "scores_covered", "false_calls", "smallest")]
            print(
                "| " + " | ".join([one["world"], *cells, f"{planted['found']:.3f}" if planted else "n/a"]) + " |",
                flush=True,
            )
    method = METHOD.format(ablations=asked.ablations, planted=asked.ablations * 2 // 5, draws=DRAWS, swaps=PERMUTATIONS)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps({"method": method, "worlds": rows}, indent=1) + "\n")
    print(f"{time.monotonic() - begun:.0f} s; written to {asked.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
