"""What the blocks do, site by site: the factor, what is added, or how much is changed."""

import copy
import pickle
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

import attnzoo
from attnzoo import UNet, insert, maps, register
from attnzoo.errors import AttnzooError
from attnzoo.skip import Slot, look

WIDTHS = (4, 8, 16)


@pytest.fixture(autouse=True)
def _kinds(fresh: None) -> None:
    """A block of every kind, each with something random or statistical in it."""

    @register("adds", paper="none", year=2026, reference="this test")
    class Adds(nn.Module):
        kind: ClassVar[str] = "add"
        listens: ClassVar[str] = "coarse"

        def __init__(self, channels: int, gate_channels: int) -> None:
            super().__init__()
            self.project = nn.Conv2d(gate_channels, channels, 1)

        def forward(self, x: Tensor, gate: Tensor) -> Tensor:
            return x + self.added(x, gate)

        def added(self, x: Tensor, gate: Tensor) -> Tensor:
            return self.project(gate.mean((2, 3), keepdim=True))

    @register("mixes", paper="none", year=2026, reference="this test")
    class Mixes(nn.Module):
        kind: ClassVar[str] = "mix"

        def __init__(self, channels: int) -> None:
            super().__init__()
            self.mix = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels), nn.Dropout(0.5))

        def forward(self, x: Tensor) -> Tensor:
            return self.mix(x)

    @register("drops", paper="none", year=2026, reference="this test")
    class Drops(nn.Module):
        kind: ClassVar[str] = "scale"

        def __init__(self, channels: int, *, indirect: bool = False) -> None:
            super().__init__()
            self.judge = nn.Sequential(nn.Conv2d(channels, 1, 1), nn.BatchNorm2d(1), nn.Dropout(0.5))
            self.indirect = indirect

        def forward(self, x: Tensor) -> Tensor:
            return x * (self.judge(x).sigmoid() if self.indirect else self.weights(x))

        def weights(self, x: Tensor) -> Tensor:
            return self.judge(x).sigmoid()


def net(attention: str = "se:reduction=2", **options: Any) -> UNet:
    return insert(UNet(classes=2, widths=WIDTHS), attention, seed=0, **options).eval()


def refusal(model: Any, inside: Callable[[], Any] = lambda: None) -> tuple[str, str | None]:
    with pytest.raises(AttnzooError) as caught, maps(model):
        inside()
    return caught.value.message, caught.value.hint


def test_every_block_has_a_map_of_its_kind_in_the_order_of_the_sites() -> None:
    model = net("ema:groups=2+gate+adds@skip/mixes@bottleneck/se:reduction=2@encoder1.decoder2")
    with maps(model) as shown:
        assert len(shown) == 0
        model(torch.randn(3, 3, 16, 24))
    assert [(key, seen.kind, tuple(seen.tensor.shape)) for key, seen in shown.items()] == [
        (("encoder1", "se:reduction=2"), "scale", (3, 4, 1, 1)),
        (("skip1", "ema:groups=2"), "scale", (3, 4, 16, 24)),
        (("skip1", "gate"), "scale", (3, 1, 16, 24)),
        (("skip1", "adds"), "add", (3, 4, 1, 1)),
        (("skip2", "ema:groups=2"), "scale", (3, 8, 8, 12)),
        (("skip2", "gate"), "scale", (3, 1, 8, 12)),
        (("skip2", "adds"), "add", (3, 8, 1, 1)),
        (("bottleneck", "mixes"), "mix", (3, 1, 4, 6)),
        (("decoder2", "se:reduction=2"), "scale", (3, 8, 1, 1)),
    ]
    assert shown.sites["skip2", "gate"].channels == 8
    assert not any(seen.tensor.requires_grad for seen in shown.values())


def test_a_map_is_what_the_block_says_when_it_is_asked_itself() -> None:
    """The slot's inputs are noted by hooks, and the block is asked again; skips are full of zeros."""
    model = net("gate+mixes+adds", residual="zero")
    slot, given = model.skips[0], []
    slot.gamma.data.fill_(0.3)
    for block in slot.blocks:
        block.register_forward_hook(lambda module, inputs, output: given.append((inputs, output)))
    with maps(model) as shown:
        model(torch.randn(2, 3, 8, 8))
    gate, _, adds = slot.blocks
    assert torch.equal(shown["skip1", "gate"].tensor, gate.weights(*given[0][0]))
    (x,), y = given[1]
    torch.testing.assert_close(shown["skip1", "mixes"].tensor, ((y - x) ** 2).sum(1, keepdim=True).sqrt())
    assert torch.equal(shown["skip1", "adds"].tensor, adds.added(*given[2][0]))
    assert (given[0][0][0] == 0).any()
    assert shown["skip1", "gate"].tensor.isfinite().all()


def test_equal_blocks_of_a_chain_are_counted() -> None:
    model = net("drops+drops:indirect=True+drops+drops:indirect=False@bottleneck")
    with maps(model) as shown:
        model(torch.randn(1, 3, 8, 8))
    names = ["drops", "drops:indirect=True", "drops#2", "drops:indirect=False"]
    assert list(shown) == [("bottleneck", name) for name in names]
    assert not torch.equal(shown["bottleneck", "drops"].tensor, shown["bottleneck", "drops#2"].tensor)


@pytest.mark.parametrize("training", [False, True])
def test_a_look_changes_no_bit_no_statistic_and_no_random_number(training: bool) -> None:
    model = net("ema:groups=2+gate+drops+drops:indirect=True+mixes+adds@skip/mixes@bottleneck").train(training)
    twin, x = copy.deepcopy(model), torch.randn(2, 3, 16, 16)
    torch.manual_seed(0)
    expected = twin(x)
    expected.sum().backward()
    after = torch.get_rng_state()
    torch.manual_seed(0)
    with maps(model) as shown:
        result = model(x)
    result.sum().backward()
    assert len(shown) == 13
    assert torch.equal(result, expected)
    assert torch.equal(torch.get_rng_state(), after)
    assert all(map(torch.equal, model.buffers(), twin.buffers()))
    gradients = [(one.grad, other.grad) for one, other in zip(model.parameters(), twin.parameters(), strict=True)]
    assert all(torch.equal(one, other) for one, other in gradients)


def test_the_last_forward_counts() -> None:
    model = net("gate")
    with maps(model) as shown:
        model(torch.randn(1, 3, 8, 8))
        model(x := torch.randn(4, 3, 8, 16))
    with maps(model) as alone:
        model(x)
    assert len(shown) == 2
    assert torch.equal(shown["skip1", "gate"].tensor, alone["skip1", "gate"].tensor)


def test_half_precision_and_autocast_give_finite_maps() -> None:
    model = net("mixes+ema:groups=2")
    with torch.autocast("cpu", torch.float16), maps(model) as shown:
        model(1e3 * torch.randn(1, 3, 8, 8))
    assert all(seen.tensor.isfinite().all() for seen in shown.values())


def test_a_norm_does_not_overflow_in_half_precision() -> None:
    class Doubles(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * x

    x = torch.full((1, 64, 2, 2), 1e4, dtype=torch.float16)
    _, shown = look(Doubles(), (x,))
    assert (shown.kind, shown.tensor.dtype) == ("mix", torch.float32)
    torch.testing.assert_close(shown.tensor, torch.full((1, 1, 2, 2), 8e4))


# what is left behind: nothing


def watched(model: nn.Module) -> bool:
    return any(module.watchers for module in model.modules() if isinstance(module, Slot))


def test_nothing_is_left_behind() -> None:
    model = net("gate+mixes")
    keys, owned = list(model.state_dict()), [set(vars(module)) for module in model.modules()]
    with maps(model) as shown:
        assert watched(model)
        assert list(model.state_dict()) == keys
        model(torch.randn(1, 3, 8, 8))
    assert not watched(model)
    assert [vars(module).keys() for module in model.modules()] == owned
    before = shown["skip1", "gate"].tensor.clone()
    model(torch.randn(1, 3, 8, 8))
    assert torch.equal(shown["skip1", "gate"].tensor, before)


def test_a_failure_inside_leaves_nothing_behind_and_is_told_as_it_is() -> None:
    model = net("gate+drops")
    with pytest.raises(AttnzooError, match="`UNet` takes inputs shaped"), maps(model):
        model(torch.randn(1, 4, 8, 8))
    gate, _ = model.skips[1].blocks
    gate.psi = None
    with pytest.raises(TypeError), maps(model) as shown:
        model(torch.randn(1, 3, 8, 8))
    assert not watched(model)
    assert len(shown) == 0
    assert "weights" not in vars(gate)


def test_looks_may_be_nested() -> None:
    model, x = net("gate"), torch.randn(1, 3, 8, 8)
    with maps(model) as outer:
        with maps(model) as inner:
            model(x)
        model(2 * x)
    assert not watched(model)
    with maps(model) as single:
        model(x)
    assert torch.equal(inner["skip1", "gate"].tensor, single["skip1", "gate"].tensor)
    assert not torch.equal(outer["skip1", "gate"].tensor, single["skip1", "gate"].tensor)


def test_threads_that_look_at_once_leave_nothing_behind() -> None:
    entered = threading.Event()

    class Slow(nn.Module):
        kind: ClassVar[str] = "scale"

        def forward(self, x: Tensor) -> Tensor:
            return x * self.weights(x)

        def weights(self, x: Tensor) -> Tensor:
            entered.set()
            time.sleep(0.05)
            return x + 1

    block, shown = Slow(), {}

    def see(number: int) -> None:
        shown[number] = look(block, (torch.full((1, 1, 1, 1), float(number)),))[1].tensor.item()

    first, second = (threading.Thread(target=see, args=(number,)) for number in (1, 2))
    first.start()
    entered.wait()  # the listener of the first is in the block
    second.start()
    first.join()
    second.join()
    assert shown == {1: 2.0, 2: 3.0}
    assert "weights" not in vars(block)


def test_copies_and_pickles_are_not_watched() -> None:
    model = net("gate")
    with maps(model):
        twins = copy.deepcopy(model), pickle.loads(pickle.dumps(model))
        model(torch.randn(1, 3, 8, 8))
    assert not any(watched(twin) for twin in twins)
    with maps(twins[0]) as shown:
        twins[0](torch.randn(1, 3, 8, 8))
    assert len(shown) == 2


# what is refused


def test_a_network_without_attention_has_no_maps() -> None:
    assert refusal(net("none")) == (
        "`UNet` holds no attention that could be seen",
        "furnish it first: `attnzoo.insert`",
    )
    assert refusal(nn.Linear(1, 1))[0] == "attnzoo does not know the sites of `Linear`"
    assert refusal("resnet18")[0] == "a host is a `torch.nn.Module`, not a `str`"


def test_a_look_at_which_nothing_happens_is_refused() -> None:
    model = net("gate")
    wrong = (
        "nothing has passed the attention of `UNet` inside `maps`",
        "run this very model there, not a compiled or exported copy of it",
    )
    assert refusal(model) == wrong
    assert refusal(model, lambda: copy.deepcopy(model)(torch.randn(1, 3, 8, 8))) == wrong
    compiled = torch.no_grad()(torch.compile(model, fullgraph=True, backend="aot_eager", dynamic=False))
    assert refusal(model, lambda: compiled(torch.randn(1, 3, 8, 8))) == wrong


def test_wrapped_and_compiled_models_are_refused_in_words() -> None:
    model = net("gate")
    early = ("a compiled model shows no maps", "take those of the model before it is compiled")
    assert refusal(torch.compile(model)) == early
    assert refusal(nn.DataParallel(model)) == (
        "`DataParallel` is around the model that has the maps",
        "ask for those of `model.module`",
    )
    model.compile()
    assert refusal(model) == early


def test_ddp_shows_the_maps_of_the_model_within(tmp_path: Path) -> None:
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        wrapped = nn.parallel.DistributedDataParallel(net("gate"))
        with maps(wrapped.module) as shown:
            wrapped(torch.randn(1, 3, 8, 8))
        assert list(shown) == [("skip1", "gate"), ("skip2", "gate")]
    finally:
        torch.distributed.destroy_process_group()


def test_maps_are_told_for_any_furnished_network() -> None:
    import segmentation_models_pytorch as smp

    host = smp.Unet("tu-test_resnet", encoder_weights=None, decoder_channels=(48, 32, 24, 16, 16), classes=2).eval()
    with maps(insert(host, "gate")) as shown:
        host(torch.randn(1, 3, 64, 64))
    assert [key[0] for key in shown] == ["skip1", "skip2", "skip3", "skip4"]
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 8, 3)).eval()
    insert(plain, "se:reduction=2", at="1", channels=8)
    insert(plain, "simam", at="0", channels=4)
    with attnzoo.maps(plain) as shown:
        plain(torch.randn(1, 3, 8, 8))
    assert list(shown) == [("0", "simam"), ("1", "se:reduction=2")]
