"""What every host of another library promises; its test file lists networks, and every promise is asked of each."""

import copy
import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

import attnzoo
from attnzoo import insert, insertions
from attnzoo.errors import AttnzooError
from attnzoo.hosts import host_of


@dataclass(frozen=True)
class Network:
    """How a host is built, what it takes, an attention at every family of sites, and what the bare host can do."""

    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    attention: str = "ema:groups=auto+gate@skip/se:reduction=2@encoder.bottleneck/cbam:reduction=2@decoder"
    pickles: bool = True

    def make(self) -> nn.Module:
        """The host, from the same weights every time; noise makes shifts and running statistics count."""
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = self.build()
            for value in model.state_dict().values():
                if value.dim() == 1:
                    value.add_(0.1 * torch.rand_like(value))
        return model.eval()

    def furnished(self) -> nn.Module:
        return insert(self.make(), self.attention, seed=0)

    def input(self) -> Tensor:
        return torch.randn(self.shape, generator=torch.Generator().manual_seed(0))


class Probe(nn.Module):
    """Notes what passes."""

    def __init__(self, listens: str | None, seen: list[tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.listens, self.seen = listens, seen

    def forward(self, *inputs: Tensor) -> Tensor:
        self.seen.append(inputs)
        return inputs[0]


class Silence(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 0 * x


def refusal(call: Callable[[], Any]) -> tuple[str, str | None]:
    with pytest.raises(AttnzooError) as caught:
        call()
    return caught.value.message, caught.value.hint


def outputs(answer: Any) -> list[Tensor]:
    """All tensors of a network's answer."""
    return pytree.tree_leaves(answer)


def same(one: Any, other: Any) -> bool:
    return all(torch.equal(left, right) for left, right in zip(outputs(one), outputs(other), strict=True))


def sites_are_numbered_from_the_finest(network: Network) -> None:
    sites = attnzoo.sites(network.make())
    families = ["encoder", "skip", "bottleneck", "decoder"]
    assert sites == tuple(sorted(sites, key=lambda site: (families.index(site.name.rstrip("0123456789")), site.level)))
    assert sum(site.name == "bottleneck" for site in sites) == 1
    for family in families:
        strides = [site.strides for site in sites if site.name.startswith(family)]
        for fine, coarse in pairwise(strides):
            assert all(before <= after for before, after in zip(fine, coarse, strict=True))


def none_leaves_the_model_as_it_was(network: Network) -> None:
    untouched, model = network.make(), insert(network.make(), "none")
    assert [type(module) for module in model.modules()] == [type(module) for module in untouched.modules()]
    assert same(model(network.input()), untouched(network.input()))


def keys_their_order_and_all_bits_stay(network: Network) -> None:
    model, before = network.furnished(), network.make().state_dict()
    after = model.state_dict()
    assert [key for key in after if "slot" not in key] == list(before)
    assert all(torch.equal(after[key], before[key]) for key in before)
    assert len(after) > len(before)


def slots_that_change_nothing_change_no_bit(network: Network) -> None:
    untouched, model = network.make(), network.make()
    for site in attnzoo.sites(model):
        host_of(model).slot(model, site).fill([("identity", nn.Identity())])
    assert same(model(network.input()), untouched(network.input()))
    assert isinstance(model, type(untouched))


def sites_stay_when_furnished(network: Network) -> None:
    model = network.make()
    sites = attnzoo.sites(model)
    insert(model, network.attention)
    assert attnzoo.sites(model) == sites
    families = {site.name.rstrip("0123456789") for site in sites}
    assert {record["site"].rstrip("0123456789") for record in insertions(model)} == families


def every_site_is_heard(network: Network) -> None:
    x, untouched = network.input(), network.make()
    before = untouched(x)
    for site in attnzoo.sites(untouched):
        model = network.make()
        host_of(model).slot(model, site).fill([("silence", Silence())])
        assert not torch.equal(outputs(model(x))[0], outputs(before)[0]), site.name


def what_passes_a_slot_is_as_its_site_tells(network: Network) -> None:
    model = network.make()
    batch, _, *size = network.shape
    for site in attnzoo.sites(model):
        seen: list[tuple[Tensor, ...]] = []
        slot = host_of(model).slot(model, site)
        assert slot is model.get_submodule(site.path)
        slot.fill([("probe", Probe(signal, seen)) for signal in (site.gates or [None])])
        model(network.input())
        slot.fill([])
        here = tuple(length // stride for length, stride in zip(size, site.strides, strict=True))
        assert {tuple(inputs[0].shape) for inputs in seen} == {(batch, site.channels, *here)}, site.name
        assert site.dims == len(size)
        heard = {signal: inputs[1] for signal, inputs in zip(site.gates, seen, strict=False)}
        for signal, feature in heard.items():
            assert feature.shape[:2] == (batch, site.gates[signal])
            if signal == "upsampled":
                assert feature.shape[2:] == here
            else:
                assert feature[0, 0].numel() < torch.Size(here).numel()


def new_blocks_are_at_home(network: Network) -> None:
    model = insert(network.make().double().train(), network.attention)
    assert {value.dtype for value in model.state_dict().values() if value.is_floating_point()} == {torch.float64}
    assert all(module.training for module in model.modules())


def copies_and_pickles_are_furnished_too(network: Network) -> None:
    model, x = network.furnished(), network.input()
    twins = [copy.deepcopy(model)]
    if network.pickles:
        file = io.BytesIO()
        torch.save(model, file)
        file.seek(0)
        twins += [pickle.loads(pickle.dumps(model)), torch.load(file, weights_only=False)]
    expected = model(x)
    for twin in twins:
        assert type(twin) is type(model)
        assert insertions(twin) == insertions(model)
        assert same(twin(x), expected)
    for parameter in twins[0].parameters():
        parameter.data.zero_()
    assert same(model(x), expected)  # a copy shares nothing


def weights_travel_between_models_furnished_alike(network: Network) -> None:
    model, other, x = network.furnished(), insert(network.make(), network.attention, seed=1), network.input()
    assert not same(model(x), other(x))
    other.load_state_dict(model.state_dict())
    assert same(model(x), other(x))


def two_steps_reach_every_new_weight(network: Network) -> None:
    model, x = network.furnished().double(), network.input().double()
    new = {name: weight for name, weight in model.named_parameters() if "slot" in name}
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    for training in (True, True, False):
        optimizer.zero_grad()
        sum(answer.square().mean() for answer in outputs(model.train(training)(x))).backward()
        assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in new.values())
        if training:
            optimizer.step()
    # in evaluation mode: a bias before a norm has no slope in training but what rounding leaves, or does not
    assert [name for name, weight in new.items() if weight.grad.abs().max() < 1e-12] == []
    assert all(value.isfinite().all() for value in model.parameters())


@torch.no_grad()  # gradients of every block are compiled in the safety matrix, those of a network in test_unet.py
def compiles_without_a_graph_break(network: Network) -> None:
    torch.compiler.reset()
    model, x = network.furnished(), network.input()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(outputs(compiled(x)), outputs(model(x)), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def exports(network: Network) -> None:
    model, x = network.furnished(), network.input()
    torch.testing.assert_close(outputs(torch.export.export(model, (x,)).module()(x)), outputs(model(x)))


PROMISES = [
    sites_are_numbered_from_the_finest,
    none_leaves_the_model_as_it_was,
    keys_their_order_and_all_bits_stay,
    slots_that_change_nothing_change_no_bit,
    sites_stay_when_furnished,
    every_site_is_heard,
    what_passes_a_slot_is_as_its_site_tells,
    new_blocks_are_at_home,
    copies_and_pickles_are_furnished_too,
    weights_travel_between_models_furnished_alike,
    two_steps_reach_every_new_weight,
    compiles_without_a_graph_break,
    exports,
]


HEAVY = {compiles_without_a_graph_break, exports}


def asked_of(networks: dict[str, Network]) -> Any:
    """Parametrises a test `(network, promise)` over all pairs; what takes long is quick for the first network alone."""
    first = next(iter(networks))
    pairs = [
        pytest.param(
            network,
            promise,
            id=f"{name}-{promise.__name__}",
            marks=[pytest.mark.slow] if promise in HEAVY and name != first else [],
        )
        for name, network in networks.items()
        for promise in PROMISES
    ]
    return pytest.mark.parametrize(("network", "promise"), pairs)


def to_onnx_and_back(network: Network, folder: Any) -> None:
    """A furnished host computes the same in onnxruntime."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    model, x = network.furnished(), network.input()
    torch.onnx.export(model, (x,), folder / "model.onnx", dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    answers = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    for answer, expected in zip(answers, outputs(model(x)), strict=True):
        torch.testing.assert_close(torch.from_numpy(answer), expected, rtol=1e-3, atol=1e-4)
