"""The speed table's GPU rows, all in one call of under ten minutes, on a machine with nothing but PyTorch and Triton.

    python3 -m benchmarks.gpu                                 # in the repository's root, on the GPU's machine
    python3 -m benchmarks.gpu --device cpu --quick --out /tmp/out   # tiny: to see that the script works

Writes gpu-NAME-DATE.json, row by row, into $OUT if it is set, else into benchmarks/results; after DATE
stands what `--quick` and `--only` say.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from attnzoo.measure.machine import resolve

from .feeding import feeding
from .on_gpu import blocks, compiling, correctness, networks
from .on_gpu.session import Session
from .scripts import ended, json_file


def loader(session: Session) -> None:
    """Beside what the training step consumes, which is timed before."""
    if "images_per_second" not in session.about:
        session.leave_out("images/s: loader / training step", "no step was timed: `--only step loader` does both")
    feeding(session)


PARTS: dict[str, Callable[[Session], None]] = {
    "compiling": compiling.compiling,
    "correctness": correctness.correctness,
    "copy": blocks.copy_bandwidth,
    "fps": networks.inference,
    "step": networks.step,
    "backward": blocks.training,
    "loader": loader,
    "forward": blocks.forward,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1 or cpu")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, whose figures mean nothing")
    parser.add_argument("--out", type=Path, help="folder of the JSON")
    parser.add_argument(
        "--data", type=Path, help="a COCO data set for the loader's rows; without it, a phantom is drawn"
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, help="some parts; the loader's wants `step` before it")
    parser.add_argument("--minutes", type=float, default=9.0, help="after which no further part is begun")
    asked = parser.parse_args()
    device = resolve(asked.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    file = json_file("gpu", name, asked)
    session = Session(device, asked.quick, file, time.monotonic() + 60 * asked.minutes, asked.data)
    if not session.cuda:
        session.leave_out("Triton's kernels", "the CPU takes the plain torch form; the interpreter tests them")
    for what, part in PARTS.items():
        if not asked.only or what in asked.only:
            session.run(what, part)
    print(file)


if __name__ == "__main__":
    sys.exit(ended(main))
