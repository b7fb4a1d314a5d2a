"""What something adds to a module: parameters, multiply-adds, and the latency as a ratio, timed in turns with it."""

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from functools import partial
from typing import Any

from attnzoo.errors import AttnzooError
from attnzoo.measure import machine, macs
from attnzoo.measure.latency import Latency, clock_of, latency
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

    `compare` times all of them in one round, which lets a machine drift between the first and the last. Here the pairs
    are minutes apart, and only the ratio within one holds: a row's milliseconds are the reference's, timed alone, times
    its ratio, so that no column contradicts another. What the clock said in turns is in `method`.

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
    timed = partial(latency, clock=clock_of(where), iterations=iterations, seconds=seconds)
    forward = partial(plain.module, *inputs)
    alone = timed({name: forward})[name]

    def row(called: str, size: int, counted: macs.Macs, timing: Latency, method: dict[str, Any]) -> dict[str, Any]:
        ratio = asdict(timing.ratio)
        derived = {key: alone.milliseconds.median * one for key, one in ratio.items()}
        milliseconds = asdict(alone.milliseconds) if timing is alone else derived
        return {
            "name": called,
            "params": size,
            "macs": counted.macs,
            "flops": counted.flops,
            "uncounted": dict(counted.uncounted),
            "latency_ms": milliseconds,
            "fps": 1000 / milliseconds["median"],
            "relative": {"to": name, "params": size / base[0], "macs": counted.macs / base[1].macs, "latency": ratio},
            "method": {
                "inputs": [[1, *shape] for shape in first.shapes],
                **method,
                "iterations": timing.iterations,
                "settled": timing.settled,
            },
            "device": str(where),
            "machine": about,
        }

    yield row(name, *base, alone, {"order": "alone", "latency_ms": "as timed"})
    told = {"order": f"in turns (ABBA) with {name}", "latency_ms": f"median of {name}, timed alone, × the paired ratio"}
    for called, build in others:
        try:
            with named(called, 1):
                module = build().module.eval().to(where)
                counted = macs.count(module, *inputs)
                pair = timed({name: forward, called: partial(module, *inputs)})
        except AttnzooError as error:
            refuse(called, error)
            continue
        in_turns = {"in_turns_ms": {one: asdict(timing.milliseconds) for one, timing in pair.items()}}
        yield row(called, parameters(module), counted, pair[called], told | in_turns)
