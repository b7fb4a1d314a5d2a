"""Attention on a skip beside the rest of the network: who goes to a stream of its own, and what waits for what."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import torch
from torch import nn

import attnzoo
from attnzoo import kernels
from attnzoo.blocks.ema import EMA
from attnzoo.kernels import ema
from attnzoo.replay import Beside, Replay


class Stream:
    """Takes down what it waits for; `main` is the one that a program starts on."""

    current: "Stream"
    made = 0

    def __init__(self, device: object = None, name: str | None = None) -> None:
        Stream.made += 1
        self.name = name or f"stream {Stream.made}"
        self.did: list[str] = []

    def wait_event(self, event: "Event") -> None:
        self.did.append(f"waits for {event.after}")

    def wait_stream(self, stream: "Stream") -> None:
        self.did.append(f"waits for {stream.name}")


class Event:
    """What its stream had done last when it was recorded."""

    after = ""

    def record(self) -> None:
        self.after = ([step for step in Stream.current.did if not step.startswith("waits")] or ["nothing"])[-1]


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stream]:
    """The device's streams, where there is no device."""
    monkeypatch.setattr(Stream, "made", 0)
    Stream.current = Stream(name="main")
    monkeypatch.setattr(Stream, "made", 0)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: Stream.current)
    monkeypatch.setattr(torch.cuda, "set_stream", lambda stream: setattr(Stream, "current", stream))
    yield Stream.current
    del Stream.current


def watched(model: nn.Module) -> nn.Module:
    """Convolutions and blocks of slots write down on which stream they ran."""

    def write(module: nn.Module, name: str) -> None:
        module.register_forward_pre_hook(lambda *_: Stream.current.did.append(name))

    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d) and ".blocks." not in name:
            write(module, name)
    return model


@contextmanager
def beside(model: nn.Module) -> Iterator[list[Stream]]:
    """Inside, and given, the blocks' streams in the order of the modules."""
    recording: Any = Beside(model)
    with recording:
        yield list(recording._streams.values())


def test_a_skips_attention_waits_for_its_map_and_not_for_what_came_after(main: Stream) -> None:
    model = watched(attnzoo.insert(attnzoo.UNet(widths=(4, 8, 16)), "eca+gate@skip/eca@bottleneck", seed=0).eval())
    x = torch.randn(1, 3, 8, 8)
    with torch.no_grad():
        expected = model(x)
        main.did.clear()
        with beside(model) as (bottleneck, fine, coarse):  # nothing runs beside the bottleneck's
            found = model(x)
    assert torch.equal(found, expected)
    assert bottleneck.did == []
    assert fine.did == ["waits for encoder.0.3"]
    assert coarse.did == ["waits for encoder.1.3"]
    order = [step for step in main.did if step.startswith(("waits", "bottleneck.3", "decoder"))]
    assert order == [
        "bottleneck.3", f"waits for {coarse.name}", "decoder.1.0", "decoder.1.3",
        f"waits for {fine.name}", "decoder.0.0", "decoder.0.3",
    ]  # fmt: skip


def test_the_skips_of_another_library_as_well(main: Stream) -> None:
    model = smp.Unet("resnet18", encoder_weights=None, decoder_channels=(32, 32, 16, 16, 16)).eval()
    attnzoo.insert(model, "eca", seed=0)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = model(x)
        with beside(model) as skips:
            assert torch.equal(model(x), expected)
    assert [len(skip.did) for skip in skips] == [1, 1, 1, 1]  # none waits for more than its map


def test_blocks_in_a_row_go_one_after_the_other(main: Stream) -> None:
    model = watched(attnzoo.insert(attnzoo.UNet(widths=(4, 8)), "eca+simam", seed=0).eval())
    with torch.no_grad(), beside(model) as (first, second):
        model(torch.randn(1, 3, 8, 8))
        assert first.did == ["waits for encoder.0.3"]
        assert second.did == ["waits for nothing"]  # but for what its forerunner's stream has done


def test_what_was_changed_since_stays_where_it_is(main: Stream) -> None:
    class Changes(attnzoo.UNet):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            feature = self.encoder[0](x)
            self.bottleneck(self.pool(feature))
            feature += 1
            return self.skips[0](feature)

    model = attnzoo.insert(Changes(widths=(4, 8)), "eca", seed=0).eval()
    with torch.no_grad(), beside(model) as (only,):
        model(torch.randn(1, 3, 8, 8))
        assert only.did == []


def test_an_error_comes_back_to_the_stream_it_left(main: Stream) -> None:
    model = attnzoo.insert(attnzoo.UNet(widths=(4, 8)), "eca", seed=0).eval()

    def fail(*_: object) -> None:
        raise ValueError("planted")

    block: Any = model.get_submodule("skips.0.blocks.0")
    block.weights = fail
    with torch.no_grad(), beside(model) as (only,), pytest.raises(ValueError, match="planted"):
        model(torch.randn(1, 3, 8, 8))
    assert only.did == ["waits for nothing"]
    assert Stream.current is main


def test_a_block_outside_of_a_slot_keeps_its_fused_form(main: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[str] = []
    monkeypatch.setattr(ema, "_plain", lambda block, x: served.append("plain") or x)
    model = nn.Sequential(nn.Conv2d(3, 8, 1), EMA(8, groups=4)).eval()
    with torch.no_grad(), kernels.use("torch"), beside(model):
        model(torch.randn(1, 3, 4, 4))
    assert served == ["plain"]


def test_no_hook_is_left(main: Stream) -> None:
    model = attnzoo.insert(attnzoo.UNet(widths=(4, 8)), "eca", seed=0)
    with Beside(model):
        assert any(module._forward_hooks for module in model.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("attention", ["ema+gate@skip/ema@bottleneck", "se+cbam", "gate", "none"])
def test_a_recording_gives_what_the_network_gives(attention: str) -> None:
    model = attnzoo.UNet(widths=(32, 64, 128))
    if attention != "none":
        attnzoo.insert(model, attention, seed=0)
    model = model.cuda().eval()
    replay = Replay(model, torch.zeros(1, 3, 64, 64, device="cuda"))
    with torch.inference_mode():
        for _ in range(20):  # a race would not show every time
            x = torch.randn(1, 3, 64, 64, device="cuda")
            torch.testing.assert_close(replay(x), model(x), rtol=1e-3, atol=1e-3)
