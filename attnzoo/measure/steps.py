"""What a step of training costs: forward, backward and Adam."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from attnzoo.measure.latency import Call, Latency
from attnzoo.measure.memory import peak_bytes
from attnzoo.measure.subject import Subject, named


def training_step(module: nn.Module, inputs: Sequence[Tensor]) -> Call:
    """A step on the mean square of the output, which costs what any cheap loss does; on a copy, in training mode."""
    copied = copy.deepcopy(module).train()
    learned = [weight for weight in copied.parameters() if weight.requires_grad]
    optimizer = torch.optim.Adam(learned, lr=1e-4) if learned else None
    # what learns nothing still passes gradients on
    given = [tensor.clone().requires_grad_(optimizer is None) for tensor in inputs]

    def step() -> None:
        copied(*given).square().mean().backward()
        if optimizer is not None:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    return step


def training_costs(
    subjects: Mapping[str, Subject],
    batch: int,
    device: torch.device,
    timed: Callable[[Mapping[str, Call]], dict[str, Latency]],
) -> dict[str, dict[str, Any]]:
    """Peak memory and milliseconds of a step of each subject; `timed` times them in turns."""
    steps: dict[str, Call] = {}
    peaks: dict[str, int] = {}
    for name, one in subjects.items():
        inputs = one.inputs(batch, device)
        with named(name, batch):
            steps[name] = step = training_step(one.module, inputs)
            peaks[name] = peak_bytes(partial(_twice, step), device) + one.resident_bytes(inputs)
    return {
        name: {
            "batch": batch,
            "step_ms": asdict(timing.milliseconds),
            "peak_memory_bytes": peaks[name],
            "relative": asdict(timing.ratio),
            "iterations": timing.iterations,
            "settled": timing.settled,
        }
        for name, timing in timed(steps).items()
    }


def _twice(step: Call) -> None:
    """The second step has what lasts: Adam's moments, made by the first."""
    step()
    step()
