"""The speed table's CPU rows: EMA against the authors' formulation, eager, compiled and in memory; and the loader.

    python3 -m benchmarks.cpu                              # some minutes on an idle machine, in the repository's root
    python3 -m benchmarks.cpu --only loader --data DIR     # a COCO data set; without it, a phantom is drawn
    python3 -m benchmarks.cpu --quick --out /tmp/out       # tiny: to see that the script works

Writes cpu-NAME-DATE.json, row by row, into $OUT if it is set, else into benchmarks/results; after DATE
stands what `--quick` and `--only` say.
"""

import argparse
import ctypes
import platform
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from attnzoo.blocks.ema import EMA
from attnzoo.measure.latency import Call, Latency, latency
from attnzoo.measure.memory import peak_bytes

from . import frozen
from .feeding import feeding
from .gate.worker import waiting
from .on_gpu.session import Session, spreads
from .scripts import ended, json_file

CPU = torch.device("cpu")
TARGET = (64, 256)  # channels and side that the targets are for; the model's other three stand beside it
OTHERS = ((128, 128), (256, 64), (512, 32))
SECONDS = 6.0  # for each subject: a call takes a tenth of a second, and machines are noisy
Pair = tuple[nn.Module, nn.Module, Tensor]


def forward(session: Session, *, kept: bool = False) -> None:
    for at, (ours, authors, x), target in _cases(session, kept):
        found = _timed(session, {"ours": partial(ours, x), "authors": partial(authors, x)}, inference=True)
        _row(session, "EMA forward: authors / ours", f"{at}, eager", found, target and "≥ 4")


def forward_and_backward(session: Session, *, kept: bool = False) -> None:
    for at, (ours, authors, x), target in _cases(session, kept):
        found = _timed(session, {"ours": _step(ours, x), "authors": _step(authors, x)}, inference=False)
        _row(session, "EMA forward + backward: authors / ours", f"{at}, eager", found, target and "≥ 3")


def compiled(session: Session, *, kept: bool = False) -> None:
    """Against the authors' eager formulation, and beside it their compiled one; at one size, for it takes minutes."""
    for at, (ours, authors, x), target in _cases(session, kept)[:1]:
        for what, call, inference, bound in (
            ("EMA forward", lambda module: partial(module, x), True, "≥ 6"),  # noqa: B023  used at once
            ("EMA forward + backward", lambda module: _step(module, x), False, None),  # noqa: B023
        ):
            torch.compiler.reset()
            calls = {
                "ours compiled": call(_compiled(session, ours)),
                "authors": call(authors),
                "authors compiled": call(_compiled(session, authors)),
            }
            found = _timed(session, calls, inference=inference)
            _row(session, f"{what}: authors / ours compiled", at, found, target and bound)


def memory(session: Session) -> None:
    """The most bytes of tensors above what was there before."""
    for at, (ours, authors, x), target in _cases(session):
        for what, one, other in (
            ("forward", partial(ours, x), partial(authors, x)),
            ("forward + backward", _step(ours, x), _step(authors, x)),
        ):
            with torch.set_grad_enabled(what != "forward"):
                peaks = {name: peak_bytes(call, CPU) for name, call in (("ours", one), ("authors", other))}
            ratio = peaks["ours"] / peaks["authors"]
            bound = "≤ 0.5" if target else None
            session.row(f"EMA {what}, peak memory: ours / authors", at, ratio, bound, bytes=peaks)


def pages_kept(session: Session) -> None:
    """The same where the process keeps all memory that it ever had.

    By itself glibc hands large blocks back. The authors' form wants 210 MB of new pages in each call at 64@256², 134 of
    them for its convolution, which take more of its time than all arithmetic; ours wants none. A process that happens
    to have such gaps in its heap is spared.
    """
    if not _keep_pages():
        session.leave_out("pages kept", "the C library has no `mallopt`, or refuses")
        return
    for part in (forward, compiled, forward_and_backward):
        part(session, kept=True)


PARTS: dict[str, Callable[[Session], None]] = {
    "forward": forward,
    "compiled": compiled,
    "backward": forward_and_backward,  # after those that take less memory, as it may leave a gap in the heap
    "memory": memory,
    "loader": feeding,
    "kept": pages_kept,  # last: there is no way back
}


def _cases(session: Session, kept: bool = False) -> list[tuple[str, Pair, bool]]:
    """What it is, both modules with equal weights and their input, and whether it has the targets."""
    sizes = [(32, 6)] if session.quick else [TARGET, *([] if kept else OTHERS)]
    cases = []
    for channels, side in sizes:
        torch.manual_seed(0)
        ours, authors = EMA(channels, groups=32), frozen.EMA(channels, groups=32)
        authors.load_state_dict(ours.state_dict())
        x = torch.randn(1, channels, side, side)
        at = f"{channels}@{side}², 32 groups, batch 1" + (", pages kept" if kept else "")
        cases.append((at, (ours, authors, x), (channels, side) == TARGET and not kept))
    return cases


def _keep_pages() -> bool:
    """Nothing is mapped by itself, and the heap never shrinks: glibc's M_MMAP_MAX and M_TRIM_THRESHOLD."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    return mallopt is not None and mallopt(-4, 0) == mallopt(-1, 2**31 - 1) == 1


def _compiled(session: Session, module: nn.Module) -> Any:
    # in a quick run the way there, without the compiler
    return torch.compile(module, fullgraph=True, backend="eager" if session.quick else "inductor")


def _step(module: nn.Module, x: Tensor) -> Call:
    given, pull = x.clone().requires_grad_(), torch.randn_like(x)
    wanted = [given, *module.parameters()]
    return lambda: torch.autograd.grad(module(given), wanted, pull)


def _timed(session: Session, calls: Mapping[str, Call], *, inference: bool) -> dict[str, Latency]:
    seconds = session.seconds if session.quick else SECONDS
    return latency(calls, clock=_clock, seconds=seconds, inference=inference)


def _clock(call: Call, times: int) -> list[float]:
    """Milliseconds, less those in which this thread was ready and a neighbour had its core."""
    waited, taken = waiting(), []
    for _ in range(times):
        before, start = waited(), time.perf_counter_ns()
        call()
        taken.append(max(1, time.perf_counter_ns() - start - (waited() - before)) / 1e6)
    return taken


def _row(session: Session, name: str, at: str, found: Mapping[str, Latency], target: str | bool) -> None:
    """The authors' over the first; all ratios' spread over rounds, and milliseconds."""
    ratios = {one: asdict(timing.ratio) for one, timing in found.items()}
    session.row(name, at, found["authors"].ratio.median, target or None, ratio=ratios, ms=spreads(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, whose figures mean nothing")
    parser.add_argument("--out", type=Path, help="folder of the JSON")
    parser.add_argument("--data", type=Path, help="a COCO data set for the loader's rows")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="some parts")
    parser.add_argument("--minutes", type=float, default=30.0, help="after which no further part is begun")
    asked = parser.parse_args()
    machine = f"{platform.processor() or platform.machine()}-{torch.get_num_threads()}-threads"
    file = json_file("cpu", machine, asked)
    session = Session(CPU, asked.quick, file, time.monotonic() + 60 * asked.minutes, asked.data)
    session.about["clock"] = "monotonic, less the time in which the calling thread was ready and had no core"
    for what, part in PARTS.items():
        if not asked.only or what in asked.only:
            session.run(what, part)
    print(file)


if __name__ == "__main__":
    sys.exit(ended(main))
