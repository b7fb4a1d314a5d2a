"""First of all: are the kernels right here? Against the readable block in float64, outputs and every gradient."""

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from attnzoo.blocks.ema import EMA

from .session import Session

# the last but one is taken in one launch
SHAPES = [(2, 64, 96, 80), (2, 128, 50, 37), (1, 512, 32, 32), (8, 128, 24, 40), (3, 64, 1, 1)]
DRAWS = 3
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def correctness(session: Session) -> None:
    """A row for each case: how many times the readable form's own error in that precision; at most four."""
    shapes = [(2, 4, 6, 5)] if session.quick else SHAPES
    with precisely():
        dtypes = (torch.float32, torch.float16, torch.bfloat16)
        # every type and layout once, and every shape in both layouts
        cases = [(shapes[0], dtype, name) for dtype in dtypes for name in LAYOUTS]
        cases += [(shape, torch.float32, name) for shape in shapes[1:] for name in LAYOUTS]
        for shape, dtype, name in session.each("correctness", cases):
            at = f"{'×'.join(map(str, shape))}, {str(dtype)[6:]}, {name}"
            worst, errors, same = _compared(session, shape, dtype, LAYOUTS[name])
            session.row("correct: × the readable form's error", at, worst, "≤ 4", errors=errors)
            session.row("equal inputs give equal bits", at, float(same), "≥ 1")


@contextmanager
def precisely() -> Iterator[None]:
    """Without TF32."""
    precise = [torch.backends.cuda.matmul, torch.backends.cudnn]
    before = [one.allow_tf32 for one in precise]
    for one in precise:
        one.allow_tf32 = False
    try:
        yield
    finally:
        for one, value in zip(precise, before, strict=True):
            one.allow_tf32 = value


def _compared(
    session: Session, shape: tuple[int, ...], dtype: torch.dtype, layout: torch.memory_format
) -> tuple[float, dict[str, tuple[float, float]], bool]:
    """The worst ratio of errors; relative errors, ours and the readable form's; and whether bits repeat."""
    mine: dict[str, list[float]] = {}
    theirs: dict[str, list[float]] = {}
    for seed in range(DRAWS):
        torch.manual_seed(seed)
        block = EMA(shape[1], groups="auto")
        for parameter in block.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        block = block.to(session.device, dtype)
        x = torch.randn(shape).to(session.device, dtype).contiguous(memory_format=layout)
        pull = torch.randn(shape).to(session.device, dtype)
        truth = with_gradients(copy.deepcopy(block).double(), x.double(), pull.double(), readable=True)
        own = with_gradients(block, x, pull, readable=True)
        found = with_gradients(block, x, pull, readable=False)
        names = ("out", "x", *(name for name, _ in block.named_parameters()))
        for name, one, other, true in zip(names, found, own, truth, strict=True):
            mine.setdefault(name, []).append(far(one, true))
            theirs.setdefault(name, []).append(far(other, true))
    again = with_gradients(block, x, pull, readable=False)
    errors = {name: (_together(mine[name]), _together(theirs[name])) for name in mine}
    # a rounding of the type is no error of a form; the readable one may be right by chance
    worst = max(ours / max(other, torch.finfo(dtype).eps) for ours, other in errors.values())
    return worst, errors, all(torch.equal(one, other) for one, other in zip(found, again, strict=True))


def _together(errors: list[float]) -> float:
    """One tensor may be right by chance: the root of the mean square over the draws."""
    return math.sqrt(sum(error**2 for error in errors) / len(errors))


def with_gradients(block: EMA, x: Tensor, pull: Tensor, *, readable: bool) -> list[Tensor]:
    """What the block gives, the gradient of x, and those of its weights."""
    x = x.detach().requires_grad_()
    out = x * block.weights(x) if readable else block(x)
    return [out.detach(), *torch.autograd.grad(out, [x, *block.parameters()], pull)]


def far(found: Tensor, truth: Tensor) -> float:
    """Relative; absolute where the truth is nothing but float64's noise. Not-a-numbers are far."""
    scale = float(truth.norm())
    distance = float((found.double() - truth).norm()) / (scale if scale > 1e-9 else 1.0)
    return distance if distance == distance else 1e9
