"""Is any block, or either of the paper's models, slower than its twin of equal architecture, in eager mode?

    python3 -m benchmarks.twins                                # this machine's CPU, one thread
    python3 -m benchmarks.twins --device cuda --minutes 2      # under a minute on a large GPU
    python3 -m benchmarks.twins --quick --out /tmp/out         # tiny: to see that the script works

Rows: ours / twin, the median of rounds A B B A with the gate's bounds on it; met where the upper one is at most 1.05.
Writes twins-NAME-DATE.json, row by row, into $OUT if it is set, else into benchmarks/results; after DATE
stands what `--quick` and `--only` say.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from attnzoo import kernels
from attnzoo.measure.latency import Call
from attnzoo.measure.machine import resolve

from ..gate.side import KEPT
from ..gate.verdict import LOOKS, Window, compare
from ..gate.worker import waiting
from ..on_gpu.session import Session
from ..scripts import ended, json_file
from .pairs import BLOCKS, WITH_EMA, Pair, model

BAR = 1.05
FAR = 0.01  # of the output's norm: convolutions may be in TF32
MODELS = ("gate", WITH_EMA)
PASSES = ("forward", "forward + backward")


def blocks(session: Session, only: list[str] | None) -> None:
    """All at one size: on a GPU, one that it has to work for; on the CPU, one that a cache holds."""
    shape = (1, 64, 8, 8) if session.quick else (8, 64, 128, 128) if session.cuda else (2, 64, 64, 64)
    for name in session.each("blocks", only or [*BLOCKS]):
        if name not in BLOCKS:
            continue
        who, make = BLOCKS[name]
        at = f"{name}, {'×'.join(map(str, shape))}"
        _rows(session, f"{name} / {who}", at, partial(make, shape), PASSES)


def models(session: Session, only: list[str] | None) -> None:
    """Of the paper, at its size; on the CPU at half of it, forward alone, as a step takes seconds."""
    side, widths = (16, (32, 64)) if session.quick else (256 if session.cuda else 128, (64, 128, 256, 512))
    for attention in session.each("models", MODELS):
        if only and f"UNet:{attention}" not in only:
            continue
        at = f"3×{side}×{side}, batch 1"
        make = partial(model, attention, widths, side, 1)
        _rows(session, f"UNet:{attention} / plain", at, make, PASSES if session.cuda else PASSES[:1])


def _rows(session: Session, name: str, at: str, make: Callable[[], Pair], passes: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    try:
        pair = make()
    except ImportError as error:
        session.leave_out(name, f"{error.name} is not installed on this machine")
        return
    inputs = [torch.randn(shape, device=session.device) for shape in pair.shapes]
    for which in passes:
        calls = [_call(one.to(session.device), inputs, which) for one in (pair.twin, pair.ours)]
        twin, ours = (_window(session, call) for call in calls)
        far = _far(*(call() for call in calls))
        if far > FAR:
            session.leave_out(f"{name}, {which}", f"they differ by {far:.2g} of the norm: no twin")
            continue
        for one in (twin, ours):
            one(2, 1)
        looks = LOOKS[:1] if session.quick else (*LOOKS, 2 * LOOKS[-1])
        found = compare(twin, ours, max(1e-6, min(ours(3, 2))), bar=BAR, looks=looks)
        session.row(
            f"{name}, {which}", at, found.ratio, None,
            bounds=[round(found.low, 4), round(found.high, 4)], rounds=found.rounds, met_by_the_bound=found.high <= BAR,
        )  # fmt: skip


def _call(module: nn.Module, inputs: list[Tensor], which: str) -> Callable[[], Tensor]:
    """What is timed gives what is compared: the output, or the gradient of the input."""
    if which == PASSES[0]:
        module.eval()
        return torch.inference_mode()(lambda: module(*inputs))
    module.train()
    given = [one.clone().requires_grad_() for one in inputs]
    wanted = [*given, *module.parameters()]
    torch.manual_seed(1)
    pull = torch.randn(module(*given).shape).to(inputs[0].device)
    return lambda: torch.autograd.grad(module(*given), wanted, pull)[0]


def _far(one: Tensor, other: Tensor) -> float:
    return float((one.double() - other.double()).norm() / one.double().norm())


def _window(session: Session, call: Call) -> Window:
    """Seconds of a call. A GPU is waited for once a window; on the CPU, time without a core is taken off."""
    waited = waiting()

    def window(samples: int, repeat: int) -> list[float]:
        if session.cuda:
            samples, repeat = 1, samples * repeat
        taken = []
        for _ in range(samples):
            before, start = waited(), time.perf_counter_ns()
            for _ in range(repeat):
                call()
            if session.cuda:
                torch.cuda.synchronize(session.device)
            spent = time.perf_counter_ns() - start - (0 if session.cuda else waited() - before)
            taken.append(max(1, spent) / repeat / 1e9)
        return taken

    return window


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:1")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, whose figures mean nothing")
    parser.add_argument("--out", type=Path, help="folder of the JSON")
    rows = (*BLOCKS, *(f"UNet:{attention}" for attention in MODELS))
    parser.add_argument("--only", nargs="+", choices=rows, help="some rows, by the words before ` / `")
    parser.add_argument("--minutes", type=float, default=20.0, help="after which no further row is begun")
    asked = parser.parse_args()
    device = resolve(asked.device)
    if device.type == "cpu":
        if not os.environ.keys() >= KEPT.keys():  # which a process is told before it begins
            os.execve(sys.executable, sys.orig_argv, {**KEPT, **os.environ})
        torch.set_num_threads(1)  # a second one that has no core would be waited for, unseen
    own = platform.processor() or platform.machine()
    file = json_file("twins", torch.cuda.get_device_name(device) if device.type == "cuda" else own, asked)
    session = Session(device, asked.quick, file, time.monotonic() + 60 * asked.minutes)
    session.about["bar"] = "met where the upper bound of ours / twin is at most 1.05; bounds: the sign test's, 0.1 %"
    session.about["environment"] = {name: os.environ[name] for name in KEPT if name in os.environ}
    for what, part in (("blocks", blocks), ("models", models)):
        session.run(what, kernels.use("auto")(partial(part, only=asked.only)))  # as users run them
    print(file)


if __name__ == "__main__":
    sys.exit(ended(main))
