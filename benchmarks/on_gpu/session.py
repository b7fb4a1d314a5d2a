"""What is measured and how: sizes, the deadline, timing in turns, graphs, and the JSON that grows row by row."""

import gc
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from attnzoo import kernels
from attnzoo.kernels import triton
from attnzoo.measure.latency import Call, Latency, clock_of, latency
from attnzoo.measure.machine import describe
from attnzoo.results import environment, write_json

Case = TypeVar("Case")

SCHEMA = 1
METHOD = (
    "Every row's subjects are timed in turns (A B B A) in one process, after warming up until windows agree. "
    "Milliseconds are CUDA events around each call (the monotonic clock on the CPU): 10th percentile, median, 90th. "
    "Ratios are of medians of the same round, and their median over rounds decides. "
    "`eager` starts every kernel from Python; `graph` replays a CUDA graph, over so many inputs in turn that they are "
    "four times the L2 cache, and divides by their number. float32 convolutions use TF32 where torch does by default; "
    "correctness is checked without. `copy` is x copied to another tensor: x read once and written once."
)


@dataclass
class Session:
    """A run of the script.

    Attributes:
        device: Where.
        quick: Tiny sizes, to see that the script works; its figures mean nothing.
        out: The JSON file, written after every row, so that a run which is cut off leaves what it has.
        deadline: When no further row is begun, in `time.monotonic` seconds.
        data: A COCO data set for the loader's rows; without it, a phantom is drawn.
        commit: Of the checkout, with `-dirty` where tracked files differ; None where there is no git.
    """

    device: torch.device
    quick: bool
    out: Path
    deadline: float
    data: Path | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[dict[str, str]] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)
    # asked before a row is written: the file may be one of the checkout's own
    commit: str | None = field(default_factory=lambda: environment()["commit"])

    @property
    def cuda(self) -> bool:
        return self.device.type == "cuda"

    @property
    def word(self) -> kernels.Word:
        """The CPU's plain torch form, whatever pays there: so the script meets no readable one by mistake."""
        return "auto" if self.cuda else "torch"

    @property
    def seconds(self) -> float:
        """For each subject of a row."""
        return 0.01 if self.quick else 0.3

    def timed(self, calls: Mapping[str, Call], *, inference: bool = True) -> dict[str, Latency]:
        """The first is the one that ratios are to."""
        clock = clock_of(self.device)
        return latency(calls, clock=clock, seconds=self.seconds, inference=inference)

    def row(self, name: str, at: str, value: float | None, target: str | None = None, **figures: Any) -> None:
        """Add a row; `target` is `≥ 4`, `≤ 2.2`, … of the value."""
        met = None
        if value is not None and target is not None and not self.quick:
            sign, _, bound = target.partition(" ")
            met = value >= float(bound) if sign == "≥" else value <= float(bound)
        said = None if value is None or not math.isfinite(value) else round(value, 4)
        self.rows.append({"row": name, "at": at, "value": said, "target": target, "met": met, **figures})
        self.write()
        print(
            f"{name:34s} {at:44s} {said!s:>9} {target or '':7s} {'' if met is None else 'met' if met else 'NOT MET'}",
            flush=True,
        )

    def each(self, what: str, cases: Iterable[Case]) -> Iterator[Case]:
        """The cases, until the time is over."""
        for number, case in enumerate(cases):
            if time.monotonic() > self.deadline:
                self.leave_out(what, f"the time was over after {number} cases; `--only` gives it more")
                return
            yield case

    def leave_out(self, what: str, why: str) -> None:
        self.left_out.append({"what": what, "why": why})
        self.write()
        print(f"left out: {what}: {why}", flush=True)

    def run(self, what: str, part: Callable[["Session"], None]) -> None:
        """One part; what goes wrong in it is written down and does not end the others."""
        if time.monotonic() > self.deadline:
            self.leave_out(what, "the time was over")
            return
        start = time.monotonic()
        try:
            with kernels.use(self.word):
                part(self)
        except Exception as error:  # any: an out-of-memory, a compiler that is not there
            self.leave_out(what, f"{type(error).__name__}: {str(error)[:500]}")
        self.about.setdefault("seconds", {})[what] = round(time.monotonic() - start, 1)
        self.write()
        gc.collect()
        if self.cuda:
            torch.cuda.empty_cache()

    def write(self) -> None:
        machine = describe(self.device)
        try:
            import triton as installed

            machine["versions"]["triton"] = installed.__version__
        except ImportError:
            machine["versions"]["triton"] = "absent"
        form = "triton" if triton.serves(torch.empty(1, 1, 1, 1, device=self.device)) else "torch"
        how = {"commit": self.commit, "machine": machine, "kernels": form, "method": METHOD}
        table = {"schema": SCHEMA, "quick": self.quick, **how, **self.about}
        write_json(self.out, {**table, "rows": self.rows, "left_out": self.left_out})


def spreads(found: Mapping[str, Latency], turns: int = 1) -> dict[str, dict[str, float]]:
    """Milliseconds of one input, each subject."""
    return {
        name: {key: round(value / turns, 6) for key, value in asdict(one.milliseconds).items()}
        for name, one in found.items()
    }


def recorded(call: Call) -> Call:
    """The call as a CUDA graph; what it returned is kept with it."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.inference_mode(), torch.cuda.graph(graph):
        call()
    return graph.replay


def inputs_past_the_cache(session: Session, x: Tensor) -> list[Tensor]:
    """So many maps like x that none is still in the L2 cache when its turn comes again."""
    cache = torch.cuda.get_device_properties(session.device).L2_cache_size
    return [torch.randn_like(x) for _ in range(min(64, max(1, math.ceil(4 * cache / (x.numel() * x.element_size())))))]


def over(call: Callable[[Case], object], inputs: Sequence[Case]) -> Call:
    """The call on each input in turn."""

    def all_of_them() -> None:
        for x in inputs:
            call(x)

    return all_of_them
