"""What something adds to a module: parameters, multiply-adds, and the latency as a ratio, timed in turns with it."""

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from functools import partial
from typing import Any

from attnzoo.errors import AttnzooError
from attnzoo.measure import machine, macs
from attnzoo.measure.latency import clock_of, latency
from attnzoo.measure.parameters import parameters
from attnzoo.measure.subject import Subject, named


def overheads(
    reference: tuple[str, Subject],
    others: Iterable[tuple[str, Callable[[], Subject]]],
    *,
    device: str = "auto",
    iterations: int | None = None,
    seconds: float = 5.0,
    refuse: Callable[[str, AttnzooError], None],
) -> Iterator[dict[str, Any]]:
    """Measure many modules, each alone in turns with one and the same: two are in memory, however many there are.

    `compare` times all of them in one round, which lets a machine drift between the first and the last.

    Args:
        reference: Name and module of what the others are related to; its row comes first.
        others: Names, and what builds the modules.
        device: As in `compare`.
        iterations: Timed calls for each; without it 100, or as many as `seconds` allow, but at least ten.
        seconds: Time for each module's latency, and as much for the reference beside it.
        refuse: Hears the name of what cannot be built or run, and why; it has no row.

    Yields:
        A row for each, ready for JSON, with the same keys as `compare` has for what is measured here.
    """
    where = machine.resolve(device)
    about = machine.describe(where)
    name, first = reference
    plain = Subject(copy.deepcopy(first.module).eval().to(where), first.shapes)
    inputs = plain.inputs(1, where)
    base = parameters(plain.module), macs.count(plain.module, *inputs)
    itself = {"p10": 1.0, "median": 1.0, "p90": 1.0}
    timed = partial(latency, clock=clock_of(where), iterations=iterations, seconds=seconds)
    method = {"inputs": [[1, *shape] for shape in first.shapes], "order": f"each in turns (ABBA) with {name}"}
    common = {"device": str(where), "machine": about}

    def row(called: str, size: int, counted: macs.Macs, ratio: dict[str, float], timing: Any) -> dict[str, Any]:
        return {
            "name": called,
            "params": size,
            "macs": counted.macs,
            "flops": counted.flops,
            "uncounted": dict(counted.uncounted),
            "latency_ms": asdict(timing.milliseconds),
            "fps": timing.fps,
            "relative": {"to": name, "params": size / base[0], "macs": counted.macs / base[1].macs, "latency": ratio},
            "method": method | {"iterations": timing.iterations, "settled": timing.settled},
            **common,
        }

    yield row(name, *base, itself, timed({name: partial(plain.module, *inputs)})[name])
    for called, build in others:
        try:
            with named(called, 1):
                module = build().module.eval().to(where)
                counted = macs.count(module, *inputs)
                timing = timed({name: partial(plain.module, *inputs), called: partial(module, *inputs)})[called]
        except AttnzooError as error:
            refuse(called, error)
            continue
        yield row(called, parameters(module), counted, asdict(timing.ratio), timing)
