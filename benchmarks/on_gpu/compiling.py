"""Before anything is timed: kernels are compiled in as many processes as there are cores, and later found on disk."""

import multiprocessing
import os

import torch

from attnzoo import kernels
from attnzoo.blocks.ema import EMA

from .blocks import GROUPS, cases
from .correctness import SHAPES
from .session import Session

Job = tuple[tuple[int, int, int, int], torch.dtype, torch.dtype, bool]  # shape, x, weights, channels_last


def compiling(session: Session) -> None:
    """Every shape, type and layout that a later part has; the script works without, one after the other."""
    if not session.cuda:
        return
    plain = [((batch, channels, side, side), dtype, dtype, False) for channels, side, batch, dtype in cases(session)]
    half = torch.bfloat16
    # the networks': batch 1 for the frames per second; batch 8 for the training step, with and without autocast
    sides = {(channels, side) for channels, side, *_ in cases(session)}
    plain += [((1, channels, side, side), half, half, True) for channels, side in sides]
    for weights, dtype in ((torch.float32, torch.float32), (torch.float32, half)):
        plain += [
            ((8, channels, side, side), dtype, weights, last) for last in (True, False) for channels, side in sides
        ]
    first = SHAPES[0]
    plain += [(first, dtype, dtype, last) for dtype in (half, torch.float16) for last in (False, True)]
    plain += [(shape, torch.float32, torch.float32, last) for shape in SHAPES for last in (False, True)]
    jobs = list(dict.fromkeys(plain))
    with multiprocessing.get_context("spawn").Pool(max(1, (os.cpu_count() or 2) - 1)) as pool:
        failed = [why for why in pool.imap_unordered(_compile, jobs) if why is not None]
    session.about["compiled ahead"] = {"jobs": len(jobs), "failed": failed}


def _compile(job: Job) -> str | None:
    shape, dtype, weights, last = job
    try:
        block = EMA(shape[1], groups="auto" if shape[1] % GROUPS else GROUPS).to("cuda", weights)
        x = torch.randn(shape, device="cuda", dtype=dtype)
        x = x.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)
        with kernels.use("auto"), torch.autocast("cuda", dtype, enabled=dtype != weights):
            with torch.no_grad():
                block(x)
            torch.autograd.grad(block(x.requires_grad_()).sum(), [x, *block.parameters()])
        torch.cuda.synchronize()
    except Exception as error:  # any: the part that meets it says it again
        return f"{job}: {type(error).__name__}: {str(error)[:200]}"
    return None
