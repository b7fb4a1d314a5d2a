"""EMA's kernels, pass by pass, by the constants that they have or by others: what each starts, and what all find."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from attnzoo.blocks.ema import EMA
from attnzoo.kernels.ema import Weights
from attnzoo.kernels.triton import gradients, operators, outputs
from attnzoo.kernels.triton.launching import Launch

from .blocks import BATCHES, GROUPS, SIZES
from .correctness import LAYOUTS
from .session import Session

Changes = Mapping[str, int]  # a constant, as in `applying.DEEP`, and its value
Start = Callable[..., object]  # takes a launch and its tensors

WEIGHTS = ("conv1x1.weight", "conv1x1.bias", "gn.weight", "gn.bias", "conv3x3.weight", "conv3x3.bias")
FIVE = ("strips", "gates", "moments", "finish", "apply")
NEVER, ALWAYS = {"one_launch.MANY": 2**31}, {"one_launch.MANY": 1, "one_launch.LARGEST": 2**31}
# what has to be read and written: maps like x, maps of a number for each group in float32, and those in x's type
MOVED = {
    "strips": (1, 0, 0),
    "moments": (1, 0, 0),
    "apply": (2, 0, 0),
    "five launches": (4, 0, 0),
    "one launch": (2, 0, 0),  # after its first time, a group comes from the cache
    "press": (2, 1, 1),
    "slopes": (1, 1, 0),
    "spread": (3, 1, 1),
}


class Map(NamedTuple):
    """What EMA is timed on."""

    channels: int
    side: int
    batch: int
    dtype: torch.dtype
    layout: str
    groups: int = GROUPS

    def __str__(self) -> str:
        return f"{self.channels}@{self.side}², batch {self.batch}, {str(self.dtype)[6:]}, {self.layout}"

    def drawn(self, device: torch.device | str) -> tuple[EMA, Tensor, Tensor]:
        """A block, a map, and the gradient of what the block makes of it."""
        torch.manual_seed(0)
        block = EMA(self.channels, groups=self.groups)
        for parameter in block.parameters():
            nn.init.normal_(parameter, std=0.3)
        shape = self.batch, self.channels, self.side, self.side
        x, grad = (
            torch.randn(shape, device=device, dtype=self.dtype).contiguous(memory_format=LAYOUTS[self.layout])
            for _ in range(2)
        )
        return block.to(device, self.dtype), x, grad

    def least(self, name: str) -> float:
        """How many times a copy's bytes a pass has to move; between the passes, nothing to speak of."""
        maps, sums, factors = MOVED.get(name, (0, 0, 0))
        of_groups = (sums * 4 / self.dtype.itemsize + factors) * self.groups / self.channels
        return round((maps + of_groups) / 2, 3)


def maps(session: Session, batch: int) -> list[Map]:
    """The paper's model's, the most valuable first."""
    if session.quick:
        return [Map(2, 4, batch, torch.float32, "channels_last", groups=1)] if batch == min(BATCHES) else []
    kinds = [(layout, dtype) for layout in LAYOUTS for dtype in (torch.float32, torch.bfloat16)]
    return [Map(channels, side, batch, dtype, layout) for layout, dtype in kinds for channels, side in SIZES]


@dataclass(frozen=True)
class Started:
    """A launch, and what it was called with."""

    launch: Launch
    tensors: tuple[Tensor, ...]

    def __call__(self) -> None:
        self.launch(*self.tensors)

    @property
    def how(self) -> tuple[object, ...]:
        """What a constant may change of it."""
        launch = self.launch
        return launch.kernel.__name__, launch.grid, launch.numbers, launch.options


class Taken(NamedTuple):
    """All of EMA over a map, forward and backward: launches by their pass, and results by their name."""

    passes: dict[str, Started]
    found: dict[str, Tensor]


def take(block: EMA, x: Tensor, grad: Tensor, changes: Changes, start: Start = Launch.__call__) -> Taken:
    """By other constants, in five launches and, where a program can take a group, in one; and backward."""
    weights = Weights(*(block.get_parameter(name).detach() for name in WEIGHTS))
    given = (x, block.groups, *weights, block.gn.eps)
    with changed({**changes, **NEVER}), watched(start) as five:
        out, buffer = operators.forward(*given)
    with changed(changes), watched(start) as back:
        on_x, total = operators.backward(grad, *given, buffer)
    with changed({**changes, **ALWAYS}), watched(start) as alone:
        again, _ = operators.forward(*given)
    passes = {_name(one): one for one in (*five, *alone[:1])}
    passes |= {{"apply": "press"}.get(name := _name(one), name): one for one in back}
    found = dict(zip(WEIGHTS, gradients.named(total, weights), strict=True))
    return Taken(passes, {"out": out, "out, the other way": again, "x": on_x, **found})


def _name(one: Started) -> str:
    name: str = one.launch.kernel.__name__.removesuffix("_kernel").removesuffix("_last")
    return "one launch" if name == "single" else name


@contextmanager
def watched(start: Start) -> Iterator[list[Started]]:
    """What is launched is noted, and started like this."""
    noted: list[Started] = []

    def note(self: Launch, *tensors: Tensor) -> None:
        noted.append(Started(self, tensors))
        start(self, *tensors)

    before = Launch.__call__
    Launch.__call__ = note  # type: ignore[method-assign]
    try:
        yield noted
    finally:
        Launch.__call__ = before  # type: ignore[method-assign]


def only_note(launch: Launch, *tensors: Tensor) -> None:
    """Start nothing."""


def only_compile(launch: Launch, *tensors: Tensor) -> None:
    """Leave the kernel on disk, for whoever starts it."""
    launch.kernel.warmup(*tensors, *launch.numbers, grid=launch.grid, **launch.options)


@contextmanager
def changed(changes: Changes) -> Iterator[None]:
    """The kernels have other constants, and afterwards what they had; what was prepared by either is forgotten."""
    before = {name: constant(name) for name in changes}
    try:
        _put(changes)
        yield
    finally:
        _put(before)


def constant(name: str) -> int:
    """A constant of the kernels, as it is now."""
    value: int = getattr(*_place(name))
    return value


def _put(constants: Changes) -> None:
    for name, value in constants.items():
        setattr(*_place(name), value)
    outputs.prepared.cache_clear()
    gradients.prepared.cache_clear()


def _place(name: str) -> tuple[Any, str]:
    room, _, word = name.partition(".")
    return importlib.import_module(f"attnzoo.kernels.triton.{room}"), word
