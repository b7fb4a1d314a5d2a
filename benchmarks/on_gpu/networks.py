"""The paper's two models: FPS with EMA against FPS without, and the training step."""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn

from attnzoo import kernels
from attnzoo.hosts.unet import UNet
from attnzoo.insertion import insert
from attnzoo.measure.latency import Call
from attnzoo.measure.steps import training_step
from attnzoo.replay import Replay

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
    _fps(session, "graph", _replays(session, models, x))
    with torch.inference_mode():
        _fps(session, "graph, in one stream", {name: recorded(call) for name, call in calls.items()})
    half = {name: model.to(torch.bfloat16, memory_format=torch.channels_last) for name, model in models.items()}
    x = x.to(torch.bfloat16, memory_format=torch.channels_last)
    _fps(session, "graph, bfloat16, channels_last", _replays(session, half, x))


def step(session: Session) -> None:
    """The ablation's: forward, backward and Adam; batch 8 as in the recipe, channels_last as on any GPU; and not so."""
    batch = 2 if session.quick else 8
    models, x = _models(session), _images(session, batch)
    for layout, memory in (("channels_last", torch.channels_last), ("contiguous", torch.contiguous_format)):
        x = x.contiguous(memory_format=memory)
        for precision in ("float32", "autocast bfloat16"):
            steps = {}
            for name, model in models.items():
                once = training_step(model.to(memory_format=memory), [x])  # type: ignore[call-overload]
                steps[name] = _by(_word(session, name), _mixed(once, x, precision))
            found, at = session.timed(steps, inference=False), f"batch {batch}, {precision}, {layout}"
            for name in (WITH, READABLE):
                target = "≤ 1.1" if name == WITH and layout == "channels_last" else None
                ratio = found[name].ratio.median
                session.row("training step: with EMA / without", f"{at}, {name}", ratio, target, ms=spreads(found))
            per_second = 1000 * batch / found[WITH].milliseconds.median
            session.about.setdefault("images_per_second", {})[f"{precision}, {layout}"] = per_second


def _fps(session: Session, how: str, calls: dict[str, Call]) -> None:
    found = session.timed(calls)
    fps = {name: round(one.fps, 2) for name, one in found.items()}
    for name in (WITH, READABLE):
        target = "≥ 0.95" if name == WITH and how == "graph" else None
        session.row(
            "FPS with EMA / without", f"{how}, {name}", 1 / found[name].ratio.median, target,
            ms=spreads(found), fps=fps, paper=round(PAPER, 4),
        )  # fmt: skip


def _replays(session: Session, models: Mapping[str, nn.Module], x: Tensor) -> dict[str, Call]:
    """As `attnzoo.for_inference` records, skips' attention beside the rest; but with batch norms, as the paper ran."""
    found = {}
    for name, model in models.items():
        with kernels.use(_word(session, name)):
            found[name] = Replay(model, x).graph.replay
    return found


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


def _mixed(once: Call, x: Tensor, precision: str) -> Call:
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
