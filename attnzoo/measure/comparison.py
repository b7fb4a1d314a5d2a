"""Everything that a module costs, beside others: parameters, multiply-adds, latency, memory, and a step of training."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from torch import nn

from attnzoo.measure import machine, macs, memory
from attnzoo.measure.latency import Call, Latency, clock_of, latency
from attnzoo.measure.parameters import parameters
from attnzoo.measure.steps import training_costs
from attnzoo.measure.subject import Subject, named


def compare(
    subjects: Mapping[str, Subject],
    *,
    device: str = "auto",
    batch: int | None = None,
    iterations: int | None = None,
    seconds: float = 20.0,
    training: bool = True,
    say: Callable[[str], None] = lambda line: None,
    check: Callable[[Sequence[Mapping[str, Any]]], None] = lambda rows: None,
) -> list[dict[str, Any]]:
    """Measure modules in one process, their timings in turns; the first is what the others are related to.

    Args:
        subjects: By name. The modules are copied: nothing of them changes.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        batch: Images at once for throughput and training; 8 on a GPU, 2 on the CPU.
        iterations: Timed calls for each module; without it 100, or as many as `seconds` allow, but at least ten.
        seconds: Time for each module's latency; throughput and training get a quarter each.
        training: Whether to measure steps of training: forward, backward and Adam.
        say: Gets a line when something begins.
        check: Gets the rows as far as they are counted (name, params, macs) and may refuse them, before any is timed.

    Returns:
        For each subject a row, ready for JSON: name, params, macs, flops, uncounted, latency_ms (p10, median, p90),
        fps, peak_memory_bytes, throughput, training, relative, device, method, machine, and counts in detail.

    Raises:
        AttnzooError: For a device that is not there, and where memory does not suffice.
    """
    where = machine.resolve(device)
    size = batch or (8 if where.type == "cuda" else 2)
    furnished = {
        name: Subject(copy.deepcopy(one.module).eval().to(where), one.shapes) for name, one in subjects.items()
    }
    counts: dict[str, macs.Macs] = {}
    peaks: dict[str, int] = {}
    for name, one in furnished.items():
        say(f"counting {name}")
        with named(name, 1):
            inputs = one.inputs(1, where)
            counts[name] = macs.count(one.module, *inputs)
            with torch.inference_mode():
                one.module(*inputs)  # libraries allocate at first use
                peaks[name] = memory.peak_bytes(partial(one.module, *inputs), where) + one.resident_bytes(inputs)
    params = {name: parameters(one.module) for name, one in furnished.items()}
    check([{"name": name, "params": params[name], "macs": counts[name].macs} for name in furnished])
    timed = partial(latency, clock=clock_of(where), iterations=iterations)
    say("timing single images")
    single = timed(_forwards(furnished, 1, where), seconds=seconds)
    say(f"timing batches of {size}")
    batched = timed(_forwards(furnished, size, where), seconds=seconds / 4)
    steps: dict[str, dict[str, Any]] = {}
    if training:
        say(f"timing training steps at batch {size}")
        steps = training_costs(furnished, size, where, partial(timed, seconds=seconds / 4, inference=False))
    about = machine.describe(where)
    first = next(iter(furnished))
    return [
        {
            "name": name,
            "params": params[name],
            "macs": counts[name].macs,
            "flops": counts[name].flops,
            "uncounted": dict(counts[name].uncounted),
            "latency_ms": asdict(single[name].milliseconds),
            "fps": single[name].fps,
            "peak_memory_bytes": peaks[name],
            "throughput": {"batch": size, "images_per_second": size * batched[name].fps},
            "training": steps.get(name),
            "relative": {
                "to": first,
                "params": _over(params[name], params[first]),
                "macs": _over(counts[name].macs, counts[first].macs),
                "latency": asdict(single[name].ratio),
            },
            "by_operator": dict(counts[name].by_operator),
            "torch_flops": counts[name].torch_flops,
            "counters_agree": counts[name].counters_agree,
            "device": str(where),
            "method": _method(one, single[name], list(furnished), where),
            "machine": about,
        }
        for name, one in furnished.items()
    ]


def arms(models: Mapping[str, nn.Module], shape: Sequence[int], **options: Any) -> dict[str, Any]:
    """Compare networks at one input shape (C, *S): `{"reference": …, "arms": {name: row}}`, for `cost.json`.

    `options` are those of `compare`.
    """
    rows = compare({name: Subject(model, (tuple(shape),)) for name, model in models.items()}, **options)
    return {"reference": rows[0]["name"], "shape": list(shape), "arms": {row["name"]: row for row in rows}}


def _forwards(subjects: Mapping[str, Subject], size: int, where: torch.device) -> dict[str, Call]:
    return {name: partial(one.module, *one.inputs(size, where)) for name, one in subjects.items()}


def _over(value: int, reference: int) -> float | None:
    return value / reference if reference else None


def _method(one: Subject, timing: Latency, names: list[str], where: torch.device) -> dict[str, Any]:
    """How the numbers of a row came about."""
    return {
        "inputs": [[1, *shape] for shape in one.shapes],
        "mode": "eval, inference mode, float32, contiguous, not compiled",
        "clock": "CUDA events, one synchronisation a window"
        if where.type == "cuda"
        else "perf_counter_ns around a call",
        "iterations": timing.iterations,
        "warmup": timing.warmup,
        "settled": timing.settled,
        "order": f"rounds there and back (ABBA) over {', '.join(names)}" if len(names) > 1 else "alone",
        "memory": memory.METHODS[where.type],
        "macs": "fvcore; norms, pooling and interpolation by its estimates; flops = 2 × macs",
    }
