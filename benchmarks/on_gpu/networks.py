"""The paper's two models: FPS with EMA against FPS without, and the training step."""

from functools import partial

import torch
from torch import Tensor, nn

from attnzoo import kernels
from attnzoo.hosts.unet import UNet
from attnzoo.insertion import insert
from attnzoo.measure.latency import Call
from attnzoo.measure.steps import training_step

from .session import Session, recorded, spreads

WITHOUT, WITH = "gate", "ema+gate@skip/ema@bottleneck"
READABLE = f"{WITH}, readable kernels"
PAPER = 91.15 / 133.12


def inference(session: Session) -> None:
    """256×256, batch 1, as the paper measured: eager and under CUDA graphs; `readable` is what the paper ran."""
    x = _images(session, 1)
    models = {name: model.eval() for name, model in _models(session).items()}
    calls = {name: _by(_word(session, name), partial(model, x)) for name, model in models.items()}
    _fps(session, "eager", calls)
    if not session.cuda:
        session.leave_out("FPS under CUDA graphs", "the CPU has none")
        return
    with torch.inference_mode():
        _fps(session, "graph", {name: recorded(call) for name, call in calls.items()})
        half = {name: model.to(torch.bfloat16, memory_format=torch.channels_last) for name, model in models.items()}
        x = x.to(torch.bfloat16, memory_format=torch.channels_last)
        calls = {name: _by(_word(session, name), partial(model, x)) for name, model in half.items()}
        _fps(session, "graph, bfloat16, channels_last", {name: recorded(call) for name, call in calls.items()})


def step(session: Session) -> None:
    """The ablation's: forward, backward and Adam; batch 8 as in the recipe."""
    batch = 2 if session.quick else 8
    models, x = _models(session), _images(session, batch)
    for precision in ("float32", "autocast bfloat16"):
        steps = {name: _by(_word(session, name), _step(model, x, precision)) for name, model in models.items()}
        found = session.timed(steps, inference=False)
        for name in (WITH, READABLE):
            target = "≤ 1.1" if name == WITH else None
            at = f"batch {batch}, {precision}, {name}"
            session.row("training step: with EMA / without", at, found[name].ratio.median, target, ms=spreads(found))
        session.about.setdefault("images_per_second", {})[precision] = 1000 * batch / found[WITH].milliseconds.median


def _fps(session: Session, how: str, calls: dict[str, Call]) -> None:
    found = session.timed(calls)
    fps = {name: round(one.fps, 2) for name, one in found.items()}
    for name in (WITH, READABLE):
        target = "≥ 0.95" if name == WITH and how == "graph" else None
        session.row(
            "FPS with EMA / without", f"{how}, {name}", 1 / found[name].ratio.median, target,
            ms=spreads(found), fps=fps, paper=round(PAPER, 4),
        )  # fmt: skip


def _models(session: Session) -> dict[str, nn.Module]:
    """Equal hosts, by one seed."""
    found = {}
    for name in (WITHOUT, WITH, READABLE):
        torch.manual_seed(0)
        model = UNet(widths=(32, 64) if session.quick else (64, 128, 256, 512))
        insert(model, WITH if name == READABLE else name)
        found[name] = model.to(session.device)
    return found


def _images(session: Session, batch: int) -> Tensor:
    side = 16 if session.quick else 256
    return torch.randn(batch, 3, side, side, device=session.device)


def _step(model: nn.Module, x: Tensor, precision: str) -> Call:
    once = training_step(model, [x])

    def mixed() -> None:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=precision != "float32"):
            once()

    return mixed


def _word(session: Session, name: str) -> kernels.Word:
    return "readable" if name == READABLE else session.word


def _by(word: kernels.Word, call: Call) -> Call:
    def chosen() -> None:
        with kernels.use(word):
            call()

    return chosen
