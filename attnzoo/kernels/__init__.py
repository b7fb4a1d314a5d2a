"""Faster forms of blocks' forwards, and the switch between them. A kernel is not another block: no spelling names it.

A block's file is the readable definition. Above its `forward` stands `@fused("ema")`; where a faster form can serve
the call, that runs instead, equal up to rounding. What cannot be served falls back quietly. `torch.jit.trace` records
whichever runs, `torch.jit.script` reads the readable body; so that is written in TorchScript's part of Python.

    with attnzoo.kernels.use("readable"):  # or the environment's ATTNZOO_KERNELS
        model(x)

`auto` takes Triton's on CUDA, plain torch on the CPU where it pays, else the readable body. `torch` and `triton` take
theirs wherever they can serve, `triton` before `torch`.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from types import ModuleType
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor
from torch.autograd import forward_ad

from attnzoo.errors import AttnzooError, listing

Word = Literal["auto", "readable", "torch", "triton"]
Form = Callable[..., Tensor]
ENVIRONMENT = "ATTNZOO_KERNELS"
TENSORS = (Tensor, torch.nn.Parameter)
LARGE = 2**16  # numbers of a map; below, what counts is how many operators start

# plain globals: a compiled graph must be able to guard on them
_said: dict[object, Word] = {}  # by all who are within `use`, in any thread; the last one counts
_environment: Word | None = None
_kernels: dict[str, ModuleType] | None = None  # from the first call on: importing a block loads no kernel

# what a module holds where someone listens, or put a forward of one's own in its place
WATCHED = ("forward", "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@contextmanager
def use(word: Word) -> Iterator[None]:
    """Choose the form of all blocks' forwards within; nests, and counts for every thread.

    Raises:
        AttnzooError: For a word that is none of `auto`, `readable`, `torch` and `triton`.
    """
    key = object()
    _said[key] = _checked(word, "kernels")
    try:
        yield
    finally:
        del _said[key]


def chosen() -> Word:
    """The word that counts now: that of `use`, else the environment's as it was at the first question, else `auto`.

    Raises:
        AttnzooError: Where the environment says something else.
    """
    global _environment
    if _said:
        return next(reversed(_said.values()))
    if _environment is None:
        _environment = _checked(os.environ.get(ENVIRONMENT) or "auto", f"the environment's `{ENVIRONMENT}`")
    return _environment


def fused(name: str) -> Callable[[Form], Form]:
    """Let the forms in `attnzoo.kernels.NAME` stand in for a readable forward, where they can serve."""

    def decorate(readable: Form) -> Form:
        home, owner = readable.__module__, readable.__qualname__.rpartition(".")[0]

        @wraps(readable)
        def forward(block: Any, *inputs: Tensor, **named: Tensor) -> Tensor:
            # a subclass may have changed what the forward is made of
            own = type(block).__qualname__ == owner and type(block).__module__ == home
            form = _form(name, block, inputs) if own and not named else None
            return readable(block, *inputs, **named) if form is None else form(block, *inputs)

        forward.fused = name  # type: ignore[attr-defined]
        return forward

    return decorate


def _form(name: str, block: Any, inputs: tuple[Tensor, ...]) -> Form | None:
    global _kernels
    word, compiling = chosen(), torch.compiler.is_compiling()
    if word == "readable" or not (compiling or _plain(word, *inputs)):
        return None
    if compiling:  # a graph would be bound to whether somebody has called before
        kernels = _loaded()
    else:  # the imports by themselves would take as long as all the other questions
        kernels = _kernels = _kernels or _loaded()
    form: Form | None = kernels[name].form(word, block, *inputs)
    return form


def _loaded() -> dict[str, ModuleType]:
    from attnzoo.kernels import cbam, ema, factor, gate, scse, simam

    return {"cbam": cbam, "ema": ema, "factor": factor, "gate": gate, "scse": scse, "simam": simam}


def watched(module: torch.nn.Module) -> bool:
    """Whether a fused form that does not call a module would leave something out: hooks, or a forward of its own."""
    own = module.__dict__
    return any(own.get(name) for name in WATCHED)


def large(word: str, x: Tensor) -> bool:
    """Whether a pass over the map that is saved is worth another rounding. A compiler saves it by itself."""
    return not torch.compiler.is_compiling() and (word != "auto" or x.numel() >= LARGE)


def _plain(word: Word, x: Tensor, *others: Tensor) -> bool:
    """Whether this is an ordinary call, which nothing rewrites, on a map where a form may pay.

    Small maps are sent away first, since there the question itself takes a noticeable part of the time.
    """
    if type(x) not in TENSORS or torch._C._get_tracing_state() is not None:
        return False
    if x.is_cpu and not large(word, x):
        return False
    return (
        all(type(other) in TENSORS for other in others)
        and not torch._C._are_functorch_transforms_active()
        and forward_ad._current_level < 0
    )


def _checked(word: str, who: str) -> Word:
    if word not in get_args(Word):
        raise AttnzooError(f"{who} cannot be `{word}`", f"there are {listing(get_args(Word), last='and')}")
    return cast("Word", word)
