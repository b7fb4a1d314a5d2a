"""`benchmarks/cpu.py` at tiny sizes: every row of the table is there."""

import json
import subprocess
import sys
from pathlib import Path

from .conftest import ROOT


def test_every_row_is_measured(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.cpu", "--quick", "--out", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.iterdir()
    found = json.loads(file.read_text(encoding="utf-8"))
    assert found["left_out"] == []
    assert [(row["row"], row["value"] > 0) for row in found["rows"]] == [
        ("EMA forward: authors / ours", True),
        ("EMA forward + backward: authors / ours", True),
        ("EMA forward: authors / ours compiled", True),
        ("EMA forward + backward: authors / ours compiled", True),
        ("EMA forward, peak memory: ours / authors", True),
        ("EMA forward + backward, peak memory: ours / authors", True),
    ]
    assert {"p10", "median", "p90"} == set(found["rows"][0]["ratio"]["authors"])
    assert {"machine", "method", "seconds"} <= set(found)
