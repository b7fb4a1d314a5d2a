"""EMA by itself: against the authors' formulation, a copy of x, and in memory."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from attnzoo.blocks.ema import EMA
from attnzoo.measure.latency import Call
from attnzoo.measure.memory import peak_bytes

from .. import frozen
from .session import Session, inputs_past_the_cache, over, recorded, spreads

SIZES = [(64, 256), (128, 128), (256, 64), (512, 32)]  # channels and side, from the finest skip to the bottleneck
BATCHES = (1, 16)
GROUPS = 32


def copy_bandwidth(session: Session) -> None:
    """Bytes read and written by a copy that no cache holds."""
    source = torch.randn(2**12 if session.quick else 2**29, device=session.device)
    target = torch.empty_like(source)
    found = session.timed({"copy": lambda: target.copy_(source)})["copy"]
    moved = 2 * source.numel() * source.element_size()
    session.row(
        "copy, TB/s", f"{moved / 2e9:.2g} GB", moved / found.milliseconds.median / 1e9, ms=spreads({"copy": found})
    )


def forward(session: Session) -> None:
    """A row against the authors' formulation, eager and compiled, and one against the copy, for every size."""
    for channels, side, batch, dtype in session.each("EMA forward", cases(session)):
        at = _at(channels, side, batch, dtype)
        ours, authors = _pair(channels, session, dtype)
        x = torch.randn(batch, channels, side, side, device=session.device, dtype=dtype)
        # half a minute of compiling that the deadline has not; float32 answers the question
        compiled = _compiled(session, authors) if dtype == torch.float32 else None
        subjects: dict[str, Callable[[Tensor], object]] = {"ours": ours, "authors": authors}
        subjects |= {} if compiled is None else {"authors compiled": compiled}
        with torch.inference_mode():
            found = session.timed({name: over(call, [x]) for name, call in subjects.items()})
            for name in list(subjects)[1:]:
                target = _against(name)
                session.row(
                    f"EMA forward: {name} / ours", f"{at}, eager", found[name].ratio.median, target, ms=spreads(found)
                )
            if not session.cuda:
                continue
            inputs = inputs_past_the_cache(session, x)
            target_of = torch.empty_like(x)
            subjects["copy"] = target_of.copy_
            graphs = {name: recorded(over(call, inputs)) for name, call in subjects.items()}
            found = session.timed(graphs)
        ms = spreads(found, len(inputs))
        for name in list(subjects)[1:-1]:
            session.row(f"EMA forward: {name} / ours", f"{at}, graph", found[name].ratio.median, _against(name), ms=ms)
        bound = "≤ 2.2" if batch == 16 else None
        session.row("EMA forward: ours / copy", f"{at}, graph", 1 / found["copy"].ratio.median, bound, ms=ms)
    if not session.cuda:
        session.leave_out("EMA forward under CUDA graphs, and against the copy", "the CPU has no CUDA graphs")


def training(session: Session) -> None:
    """Forward and backward: milliseconds, and the most memory above what was there before."""
    for channels, side, batch, dtype in session.each("EMA forward + backward", cases(session)):
        at = _at(channels, side, batch, dtype)
        ours, authors = _pair(channels, session, dtype)
        x = torch.randn(batch, channels, side, side, device=session.device, dtype=dtype)
        pull = torch.randn_like(x)
        calls = {name: _step(one, x, pull) for name, one in (("ours", ours), ("authors", authors))}
        found = session.timed(calls, inference=False)
        session.row(
            "EMA forward + backward: authors / ours", at, found["authors"].ratio.median, "≥ 3", ms=spreads(found)
        )
        peaks = {name: peak_bytes(call, session.device) for name, call in calls.items()}
        session.row("EMA peak memory: ours / authors", at, peaks["ours"] / peaks["authors"], "≤ 0.5", bytes=peaks)


def cases(session: Session) -> list[tuple[int, int, int, torch.dtype]]:
    """Channels, side, batch and type of every map that EMA is timed on by itself."""
    if session.quick:
        return [(32, 8, 1, torch.float32), (64, 4, 2, torch.float32)]
    single = [(channels, side, batch, torch.float32) for batch in BATCHES for channels, side in SIZES]
    return single + [(channels, side, max(BATCHES), torch.bfloat16) for channels, side in SIZES]


def _at(channels: int, side: int, batch: int, dtype: torch.dtype) -> str:
    return f"{channels}@{side}², batch {batch}, {str(dtype)[6:]}"


def _against(name: str) -> str:
    return "≥ 2" if name == "authors compiled" else "≥ 4"


def _pair(channels: int, session: Session, dtype: torch.dtype) -> tuple[nn.Module, nn.Module]:
    """Ours and the authors', with equal weights."""
    torch.manual_seed(0)
    ours = EMA(channels, groups=GROUPS)
    authors = frozen.EMA(channels, GROUPS)
    authors.load_state_dict(ours.state_dict())
    return ours.to(session.device, dtype), authors.to(session.device, dtype)


def _compiled(session: Session, module: nn.Module) -> Any:
    torch.compiler.reset()
    if not session.quick:
        return torch.compile(module, fullgraph=True)
    return torch.compile(module, fullgraph=True, backend="eager")  # the way there, without the compiler


def _step(module: nn.Module, x: Tensor, pull: Tensor) -> Call:
    given = x.clone().requires_grad_()
    wanted = [given, *module.parameters()]
    return lambda: torch.autograd.grad(module(given), wanted, pull)
