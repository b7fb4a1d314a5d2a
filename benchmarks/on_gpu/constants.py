"""Where EMA's time goes, pass by pass beside a copy; and whether other constants of the kernels would serve better."""

import copy
import multiprocessing
import operator
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from itertools import chain
from typing import TypeVar

import torch
from torch import Tensor

from attnzoo.blocks.ema import EMA
from attnzoo.measure.latency import Call

from .correctness import far, precisely, with_gradients
from .passes import FIVE, Changes, Map, constant, maps, only_compile, only_note, take
from .session import Session, inputs_past_the_cache, over, recorded, spreads

Thing = TypeVar("Thing")
Job = tuple[Map, Changes]
Compile = Callable[[Sequence[Job]], None]
Given = tuple[EMA, Tensor, Tensor]
Truth = dict[str, tuple[Tensor, float]]  # what a result should be, and the largest error that it may have

STEPS = (0.5, 2)  # times a constant: who takes the best, and runs again, comes further
CONSTANTS = (  # joined by a plus, they change together
    "applying.HELD", "applying.DEEP", "applying.COLUMNS", "reading.HELD", "spreading.HELD",
    "tiles.ELEMENTS", "tiles.SPAN", "tiles.SHORTEST", "tiles.PROGRAMS", "tiles.SIDE", "tiles.WARPS",
    "channels_last.COLUMNS", "channels_last.DEEP", "channels_last.LONG", "channels_last.NARROW", "channels_last.SIDE",
    "one_launch.HELD", "one_launch.EACH", "one_launch.LANES", "returning.WARPS",
    "applying.HELD+tiles.WARPS", "reading.HELD+tiles.WARPS", "tiles.ELEMENTS+tiles.WARPS",
    "one_launch.HELD+one_launch.EACH",
)  # fmt: skip
ORDER = ("apply", "one launch", "moments", "strips", "spread", "press", "slopes", "gates", "finish", "back")
NOW = "now"
FARTHEST = 16  # times the readable form's error, in a single draw; a piece that is wrong is off by thousands


class WrongError(Exception):
    """What was found is not what the readable form finds."""


def where(session: Session, build: Compile, batch: int) -> None:
    """A row for each pass: its time over a copy's, and `least`, the bytes that it has to move over a copy's.

    `five launches` beside `one launch` say what `one_launch.MANY` and `LARGEST` should be.
    """
    every = maps(session, batch)
    build([(at, {}) for at in every])
    for at in _in_time(session, f"passes, batch {batch}", every):
        given = _many(session, at)
        taken, target = [take(*one, {}) for one in given], torch.empty_like(given[0][1])
        calls = {"copy": _call(session, [partial(target.copy_, x) for _, x, _ in given])}
        calls |= {name: _call(session, [one.passes[name] for one in taken]) for name in taken[0].passes}
        calls["five launches"] = _call(session, [one.passes[name] for one in taken for name in FIVE])
        found = session.timed(calls)
        ms = spreads(found, len(given))
        for name in list(calls)[1:]:
            ratio = found[name].ratio
            session.row(
                f"{name} / copy", str(at), ratio.median, least=at.least(name), ratio=asdict(ratio),
                ms={each: ms[each] for each in ("copy", name)},
            )  # fmt: skip


def best(session: Session, build: Compile, batch: int) -> None:
    """A row for each pass: the fastest of the candidates that are right, and its time over that of today's."""
    for at in _in_time(session, f"constants, batch {batch}", maps(session, batch)):
        planned = plan(at)
        wanted = {NOW, *chain(*planned.values())}
        every = {said: changes for said, changes in {NOW: {}, **candidates()}.items() if said in wanted}
        build([(at, changes) for changes in every.values()])
        given = _many(session, at)
        truth = _truth(*given[0])
        calls: dict[str, dict[str, Call]] = {name: {} for name in ORDER if name in planned}
        refused: dict[str, str] = {}
        for said in _in_time(session, f"candidates, {at}", list(every)):
            try:
                taken = [take(*one, every[said]) for one in given]
                _check(taken[0].found, truth)
                for name in calls:
                    if said in (NOW, *planned[name]):
                        calls[name][said] = _call(session, [one.passes[name] for one in taken])
            except Exception as error:  # any: a compiler's, or that a multiprocessor has less
                word = "wrong" if isinstance(error, WrongError) else f"failed: {type(error).__name__}"
                refused[said] = f"{word}: {str(error)[:300]}"
        for name in _in_time(session, f"constants, {at}", list(calls)):
            if NOW in refused:
                session.leave_out(f"{name} / now, {at}", refused[NOW])
                continue
            found = session.timed(calls[name])
            fastest = min(found, key=lambda said: found[said].ratio.median)
            session.row(
                f"{name} / now", str(at), found[fastest].ratio.median, best=fastest,
                ratio={said: asdict(one.ratio) for said, one in found.items()}, ms=spreads(found, len(given)),
                refused={said: why for said, why in refused.items() if said in planned[name]},
            )  # fmt: skip


def candidates() -> dict[str, Changes]:
    """Each constant's neighbours, as they are said."""
    pairs = [(together.split("+"), step) for together in CONSTANTS for step in STEPS]
    every = [{name: int(constant(name) * step) for name in names} for names, step in pairs]
    return {"+".join(f"{name}={value}" for name, value in changes.items()): changes for changes in every}


def plan(at: Map) -> dict[str, list[str]]:
    """For each pass the candidates by which it starts otherwise than now, and than by each other."""
    given = at.drawn("meta")
    now = take(*given, {}, only_note).passes
    seen = {name: [one.how] for name, one in now.items()}
    found: dict[str, list[str]] = {name: [] for name in now}
    for said, changes in candidates().items():
        for name, one in take(*given, changes, only_note).passes.items():
            if name in seen and one.how not in seen[name]:
                seen[name].append(one.how)
                found[name].append(said)
    return found


def _truth(block: EMA, x: Tensor, grad: Tensor) -> Truth:
    """What the readable form finds in float64, and so many times its own error in the map's type."""
    with precisely():
        right = with_gradients(copy.deepcopy(block).double(), x.double(), grad.double(), readable=True)
        own = with_gradients(block, x, grad, readable=True)
    least = torch.finfo(x.dtype).eps  # the readable form may be right by chance
    bars = [FARTHEST * max(far(one, true), least) for one, true in zip(own, right, strict=True)]
    names = ("out", "x", *(name for name, _ in block.named_parameters()))
    return dict(zip(names, zip(right, bars, strict=True), strict=True))


def _check(found: dict[str, Tensor], truth: Truth) -> None:
    for name, one in found.items():
        true, most = truth[name.partition(",")[0]]
        if (error := far(one, true)) > most:
            raise WrongError(f"{name} is off by {error:.1e}, and may be by {most:.1e}")


def _many(session: Session, at: Map) -> list[Given]:
    """So many maps that no cache holds them all."""
    block, x, grad = at.drawn(session.device)
    others = inputs_past_the_cache(session, x)[1:] if session.cuda else []
    return [(block, x, grad), *((block, other, torch.randn_like(grad)) for other in others)]


def _call(session: Session, each: Sequence[Call]) -> Call:
    """One after the other; on a GPU recorded, so that nothing waits for Python."""
    every = over(operator.call, each)
    return recorded(every) if session.cuda else every


def _in_time(session: Session, what: str, things: Sequence[Thing]) -> Iterator[Thing]:
    """Until the time is over; what it leaves is named."""
    for number, thing in enumerate(things):
        if time.monotonic() > session.deadline:
            session.leave_out(what, f"the time was over before {'; '.join(map(str, things[number:]))}")
            return
        yield thing


@contextmanager
def compilers(session: Session) -> Iterator[Compile]:
    """Compiles in as many processes as there are cores, so that rows find kernels on disk; what fails, fails there."""
    if not session.cuda:
        yield lambda jobs: None
        return
    cores = os.cpu_count() or 2
    with ProcessPoolExecutor(max(1, cores - 1), multiprocessing.get_context("spawn")) as pool:

        def build(jobs: Sequence[Job]) -> None:
            start = time.monotonic()
            try:
                failed = [why for why in pool.map(compile_ahead, jobs) if why is not None]
            except BrokenProcessPool:
                failed = ["a process ended early: what is left is compiled one after the other"]
            took = {"jobs": len(jobs), "failed": failed, "seconds": round(time.monotonic() - start, 1)}
            session.about.setdefault("compiled ahead", []).append(took)

        yield build


def compile_ahead(job: Job) -> str | None:
    """The kernels for a map that holds nothing, or why not."""
    at, changes = job
    try:
        take(*at.drawn("meta"), changes, only_compile)
    except Exception as error:  # any: the row that meets it says it again
        return f"{at}: {dict(changes)}: {type(error).__name__}: {str(error)[:200]}"
    return None
