"""MONAI's networks, in 2-D and 3-D: every promise of a host, and what each has of its own."""

import pickle
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

import attnzoo
from attnzoo import insert
from attnzoo.hosts import host_of
from attnzoo.hosts._furnish import slot_after

from .promises import (
    Network,
    Silence,
    asked_of,
    refusal,
    slots_that_change_nothing_change_no_bit,
    to_onnx_and_back,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MONAI's own, at import
    nets = pytest.importorskip("monai.networks.nets", reason="needs MONAI")

DEEP = {"deep_supervision": True, "deep_supr_num": 1}
NETWORKS = {
    "UNet-2D": Network(lambda: nets.UNet(2, 1, 2, (4, 8, 16, 16), (2, 2, 1), num_res_units=2), (2, 1, 16, 24)),
    "UNet-3D": Network(lambda: nets.UNet(3, 1, 2, (4, 8, 16), (2, 2), norm="batch"), (2, 1, 8, 16, 8)),
    "CheckpointUNet": Network(lambda: nets.unet.CheckpointUNet(2, 1, 2, (4, 8, 16), (2, 2)), (2, 1, 16, 24)),
    "BasicUNet-2D": Network(lambda: nets.BasicUNet(2, 1, 2, (4, 8, 8, 12, 16, 6)), (2, 1, 32, 48)),
    "BasicUNet-3D": Network(
        lambda: nets.BasicUNet(3, 1, 2, (4, 4, 6, 6, 8, 8), upsample="nontrainable"), (1, 1, 32, 32, 32)
    ),
    "DynUNet-2D": Network(
        lambda: nets.DynUNet(2, 1, 2, [3, 3, 3, 3], [1, 2, 2, 2], [2, 2, 2], filters=(4, 8, 12, 16), res_block=True),
        (2, 1, 16, 32),
    ),
    "DynUNet-3D": Network(
        lambda: nets.DynUNet(
            3, 1, 2, [3, (1, 3, 3), 3, 3], [1, (1, 2, 2), 2, 2], [(1, 2, 2), 2, 2], filters=(4, 8, 12, 16), **DEEP
        ),
        (1, 1, 8, 16, 16),
    ),
    "AttentionUnet-2D": Network(lambda: nets.AttentionUnet(2, 1, 2, (4, 8, 16), (2, 2)), (2, 1, 16, 24)),
    "AttentionUnet-3D": Network(lambda: nets.AttentionUnet(3, 1, 2, (4, 8, 16), (2, 2)), (2, 1, 8, 8, 16)),
}


# a DynUNet with deep supervision keeps tensors in a list, bare or furnished
@pytest.mark.filterwarnings("ignore:The tensor attributes self.heads")
@asked_of(NETWORKS)
def test_promise(network: Network, promise: Callable[[Network], None]) -> None:
    promise(network)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.filterwarnings("ignore:The tensor attributes self.heads")
def test_onnx_computes_the_same(name: str, tmp_path: Path) -> None:
    to_onnx_and_back(NETWORKS[name], tmp_path)


def rows(model: nn.Module, family: str) -> list[tuple[str, int, dict[str, int], object]]:
    sites = [site for site in attnzoo.sites(model) if site.name.startswith(family)]
    return [(site.path, site.channels, dict(site.gates), site.stride) for site in sites]


def test_a_unets_skip_hears_what_comes_up_to_it_and_nothing_coarser() -> None:
    model = nets.UNet(2, 1, 2, (4, 8, 16, 32), (2, 2, 1))
    assert rows(model, "skip") == [
        ("model.1.skip_slot", 4, {"upsampled": 4}, 2),
        ("model.1.submodule.1.skip_slot", 8, {"upsampled": 8}, 4),
        ("model.1.submodule.1.submodule.1.skip_slot", 16, {"upsampled": 32}, 4),
    ]
    assert rows(model, "decoder") == [
        ("model.1.submodule.2.slot", 4, {}, 2),
        ("model.1.submodule.1.submodule.2.slot", 8, {}, 4),
    ]
    message, _ = refusal(lambda: insert(model, "grid_gate"))
    assert message.startswith("`grid_gate` listens to ")


def test_a_unet_of_two_levels_has_one_skip() -> None:
    model = nets.UNet(2, 1, 2, (4, 8), (2,))
    assert [site.name for site in attnzoo.sites(model)] == ["encoder1", "skip1", "bottleneck"]


def test_checkpointing_stays_and_recomputes_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    network = NETWORKS["CheckpointUNet"]
    wrapper = type(network.make().model[0])
    assert "model.1.submodule.module.0.module.slot" in [site.path for site in attnzoo.sites(network.make())]

    def gradients() -> list[torch.Tensor]:
        model = network.furnished().train()
        model(network.input()).square().mean().backward()
        return [parameter.grad for parameter in model.parameters()]

    recomputed = gradients()
    monkeypatch.setattr(wrapper, "forward", lambda self, x: self.module(x))
    for one, other in zip(recomputed, gradients(), strict=True):
        torch.testing.assert_close(one, other)


def test_a_basic_unets_widths_are_its_own() -> None:
    model = nets.BasicUNet(2, 1, 2, (4, 8, 10, 12, 16, 6))
    assert rows(model, "skip") == [
        ("upcat_1.skip_slot", 4, {"upsampled": 8, "coarse": 8}, 1),
        ("upcat_2.skip_slot", 8, {"upsampled": 5, "coarse": 10}, 2),
        ("upcat_3.skip_slot", 10, {"upsampled": 6, "coarse": 12}, 4),
        ("upcat_4.skip_slot", 12, {"upsampled": 8, "coarse": 16}, 8),
    ]
    assert [width for _, width, _, _ in rows(model, "decoder")] == [6, 8, 10, 12]


@pytest.mark.parametrize("upsample", ["deconv", "nontrainable", "pixelshuffle"])
def test_a_basic_unet_takes_sizes_that_do_not_divide(upsample: str) -> None:
    network = Network(lambda: nets.BasicUNet(2, 1, 2, (4, 8, 8, 8, 16, 4), upsample=upsample), (1, 1, 35, 50))
    slots_that_change_nothing_change_no_bit(network)
    assert network.furnished()(network.input()).shape == (1, 2, 35, 50)


def test_a_dynunets_strides_are_told_per_axis() -> None:
    model = NETWORKS["DynUNet-3D"].make()
    assert rows(model, "skip") == [
        ("upsamples.2.skip_slot", 4, {"upsampled": 4, "coarse": 8}, 1),
        ("upsamples.1.skip_slot", 8, {"upsampled": 8, "coarse": 12}, (1, 2, 2)),
        ("upsamples.0.skip_slot", 12, {"upsampled": 12, "coarse": 16}, (2, 4, 4)),
    ]


def test_a_dynunets_deep_supervision_hears_the_slots() -> None:
    network = NETWORKS["DynUNet-3D"]
    bare, model, x = network.make().train(), network.make(), network.input()
    before = bare(x)
    assert before.shape == (1, 2, 2, 8, 16, 16)
    after = insert(model, "se:reduction=2@decoder2", seed=0).train()(x)
    assert not torch.equal(after[:, 1], before[:, 1])  # the head hangs on the second decoder stage


def test_an_attention_unet_keeps_its_gates_and_hears_ours_before_them() -> None:
    model = NETWORKS["AttentionUnet-2D"].make()
    gates = [type(module).__name__ for module in model.modules()].count("AttentionBlock")
    insert(model, "gate+grid_gate", seed=0)
    assert [type(module).__name__ for module in model.modules()].count("AttentionBlock") == gates == 2
    seen: list[torch.Tensor] = []

    class Note(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x)
            return x

    model = NETWORKS["AttentionUnet-2D"].make()
    site = next(site for site in attnzoo.sites(model) if site.name == "skip1")
    host_of(model).slot(model, site).fill([("note", Note())])
    model(x := NETWORKS["AttentionUnet-2D"].input())
    assert torch.equal(seen[0], model.model[0](x))  # the encoder's feature, not yet gated


@pytest.mark.parametrize("name", ["UNet-2D", "BasicUNet-2D", "DynUNet-2D", "AttentionUnet-2D"])
def test_what_others_have_changed_is_refused(name: str) -> None:
    model = NETWORKS[name].make()
    part = {
        "UNet-2D": "model.1.submodule.1",
        "BasicUNet-2D": "upcat_3",
        "DynUNet-2D": "upsamples.1",
        "AttentionUnet-2D": "model.1.submodule.1",
    }[name]
    module = model.get_submodule(part)
    module.__class__ = type("Stranger", (type(module),), {})
    state = [type(module) for module in model.modules()]
    assert refusal(lambda: insert(model, "se:reduction=2")) == (
        f"`Stranger` in this `{type(model).__name__}` is not as MONAI builds it",
        "furnish a model that is as MONAI builds it",
    )
    assert [type(module) for module in model.modules()] == state


def test_levels_and_modes_that_others_have_changed_are_refused() -> None:
    model = nets.UNet(2, 1, 2, (4, 8, 16), (2, 2))
    model.model[1].submodule = nn.Identity()
    assert refusal(lambda: attnzoo.sites(model))[0] == "`Identity` in this `UNet` is not as MONAI builds it"
    model = nets.UNet(2, 1, 2, (4, 8, 16), (2, 2))
    model.model[1].mode = "add"
    assert refusal(lambda: attnzoo.sites(model))[0] == "`SkipConnection` in this `UNet` is not as MONAI builds it"
    model = nets.AttentionUnet(2, 1, 2, (4, 8, 16), (2, 2))
    model.model[1].submodule = nn.Identity()
    assert refusal(lambda: attnzoo.sites(model))[0] == "`Identity` in this `AttentionUnet` is not as MONAI builds it"
    model = NETWORKS["DynUNet-2D"].make()
    model.skip_layers.next_layer = nn.Identity()
    assert refusal(lambda: attnzoo.sites(model))[0] == "`Identity` in this `DynUNet` is not as MONAI builds it"


def test_a_module_furnished_by_its_path_keeps_its_slot_beside_the_skips() -> None:
    model = NETWORKS["BasicUNet-2D"].make()
    slot_after(model, "upcat_4").fill([("silence", nn.Identity())])
    before = model(x := NETWORKS["BasicUNet-2D"].input())
    skip4 = next(site for site in attnzoo.sites(model) if site.name == "skip4")
    host_of(model).slot(model, skip4)
    assert model.upcat_4.slot.spellings == ("silence",)
    assert model.upcat_4.skip_slot.spellings == ()
    assert torch.equal(model(x), before)
    twin = pickle.loads(pickle.dumps(model))
    assert type(twin.upcat_4) is type(model.upcat_4)
    model.upcat_4.slot.fill([("silence", Silence())])
    assert not torch.equal(model(x), before)
