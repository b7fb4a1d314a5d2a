"""Where each of smp's models has its sites, with the encoder's widths, and what a site of it means."""

from collections.abc import Callable
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import torch
from torch import nn

import attnzoo
from attnzoo import insert, insertions
from attnzoo.hosts import Site, host_of

from .promises import Probe, Silence, refusal

TINY = "tu-test_resnet"  # widths 32, 32, 48, 192, 96


def model(name: str, encoder: str = TINY, **options: Any) -> Any:
    return getattr(smp, name)(encoder, encoder_weights=None, **options).eval()


def family(network: nn.Module, name: str) -> list[Site]:
    return [site for site in attnzoo.sites(network) if site.family == name]


def rows(network: nn.Module, name: str) -> list[tuple[int, int]]:
    return [(site.channels, site.stride) for site in family(network, name)]


FINE = [(32, 2), (32, 4), (48, 8), (192, 16)]
UP = [(16, 1), (32, 2), (64, 4), (128, 8), (256, 16)]


@pytest.mark.parametrize(
    ("name", "skips", "bottleneck", "decoder"),
    [
        ("Unet", FINE, (96, 32), UP),
        ("UnetPlusPlus", FINE, (96, 32), UP),
        ("MAnet", FINE, (96, 32), UP),
        ("Linknet", FINE, (96, 32), [(32, 1), (32, 2), (32, 4), (48, 8), (192, 16)]),
        ("FPN", FINE[1:], (96, 32), [(256, 4), (256, 8), (256, 16), (256, 32)]),
        ("PAN", FINE[1:], (96, 16), [(32, 4), (32, 8), (32, 16), (32, 16)]),
        ("UPerNet", FINE[1:], (96, 32), [(256, 4), (256, 8), (256, 16), (256, 32)]),
        ("Segformer", FINE, (96, 32), [(256, 4)]),
        ("DeepLabV3Plus", [(32, 4)], (96, 16), [(256, 4), (256, 16)]),
        ("DeepLabV3", [], (96, 8), [(256, 8), (256, 8)]),
        ("PSPNet", [], (48, 8), [(512, 8)]),
    ],
)
def test_each_model_has_its_sites(
    name: str, skips: list[tuple[int, int]], bottleneck: tuple[int, int], decoder: list[tuple[int, int]]
) -> None:
    network = model(name)
    assert rows(network, "skip") == skips
    assert rows(network, "bottleneck") == [bottleneck]
    assert rows(network, "decoder") == decoder
    finest, coarsest = (32, 2), network.encoder.output_stride
    expected = [finest, (32, 4), (48, 8), (192, min(16, coarsest))]
    assert rows(network, "encoder") == expected[: len(network.encoder.out_channels) - 2]


GATES: dict[str, Callable[[int, int], tuple[int, int]]] = {
    "UnetPlusPlus": lambda level, width: ([32, 48, 192, 96][level - 1],) * 2,
    "MAnet": lambda level, width: (width, [64, 128, 256, 96][level - 1]),
    "Linknet": lambda level, width: (width, [32, 48, 192, 96][level - 1]),
    "FPN": lambda level, width: (256, 256),
    "PAN": lambda level, width: (32, 32),
    "UPerNet": lambda level, width: (256, 256),
    "DeepLabV3Plus": lambda level, width: (256, 256),
}


@pytest.mark.parametrize("name", GATES)
def test_each_skip_tells_what_a_gate_hears_there(name: str) -> None:
    for site in family(model(name), "skip"):
        upsampled, coarse = GATES[name](site.level, site.channels)
        assert dict(site.gates) == {"upsampled": upsampled, "coarse": coarse}


def test_the_levels_of_segformer_hear_no_other() -> None:
    network = model("Segformer", "mit_b0")
    assert rows(network, "skip") == [(32, 4), (64, 8), (160, 16)]
    assert not any(site.gates for site in attnzoo.sites(network))
    assert refusal(lambda: insert(network, "gate")) == (
        "`gate` listens to the decoder, and the skip level 1 of Segformer has none",
        "no level of it hears a coarser one: take a block that does not listen",
    )


def test_fusions_of_dpt_hear_the_coarser_level_upsampled() -> None:
    network = smp.DPT("tu-test_vit", encoder_weights=None, encoder_depth=3, decoder_intermediate_channels=(8, 8, 8))
    assert [(site.name, site.channels, dict(site.gates), site.stride) for site in attnzoo.sites(network)] == [
        ("skip1", 256, {"upsampled": 256}, 4),
        ("skip2", 256, {"upsampled": 256}, 8),
        ("bottleneck", 256, {}, 16),
        ("decoder1", 256, {}, 2),
        ("decoder2", 256, {}, 4),
        ("decoder3", 256, {}, 8),
    ]
    assert refusal(lambda: insert(network, "grid_gate"))[0] == (
        "`grid_gate` listens to `coarse`, and the skip level 1 of DPT offers `upsampled`"
    )


@pytest.mark.parametrize("name", ["DeepLabV3", "PSPNet"])
def test_without_lateral_connections_there_are_no_skips(name: str) -> None:
    message, hint = refusal(lambda: insert(model(name), "se"))
    assert message == f"`{name}` has no site `skip`: none of its encoder's features goes past the bottleneck"
    assert hint is not None
    assert "`bottleneck`" in hint


def test_the_image_is_no_skip_of_a_shallow_fpn() -> None:
    network = model("FPN", encoder_depth=3)
    assert rows(network, "skip") == [(32, 2), (32, 4)]
    assert rows(network, "decoder") == [(256, 1), (256, 2), (256, 4), (256, 8)]
    insert(network, "ema+gate@skip/se:reduction=2@bottleneck.decoder")
    assert network(torch.randn(1, 3, 32, 32)).shape[:2] == (1, 1)


@pytest.mark.parametrize(("name", "depth", "skips"), [("PAN", 3, [(32, 4)]), ("DeepLabV3Plus", 3, [(32, 4)])])
def test_decoders_of_another_depth_have_their_sites(name: str, depth: int, skips: list[tuple[int, int]]) -> None:
    network = model(name, encoder_depth=depth)
    assert rows(network, "skip") == skips
    assert rows(network, "bottleneck") == [(48, 8)]


def test_a_coarse_signal_may_have_the_skips_resolution_where_the_encoder_is_dilated() -> None:
    network, seen = model("PAN"), list[Any]()
    (site,) = (site for site in attnzoo.sites(network) if site.name == "skip3")
    host_of(network).slot(network, site).fill([("probe", Probe(signal, seen)) for signal in site.gates])
    network(torch.randn(1, 3, 128, 128))
    assert [tuple(gate.shape) for _, gate in seen] == [(1, 32, 8, 8)] * 2
    assert {tuple(skip.shape) for skip, _ in seen} == {(1, 192, 8, 8)}


def test_the_skip_of_a_nested_unet_is_heard_by_all_nodes_of_its_level_and_by_no_other() -> None:
    network, reached = model("UnetPlusPlus"), dict[str, torch.Tensor]()
    x = torch.randn(1, 3, 32, 32)
    for name, node in network.decoder.blocks.items():
        node.register_forward_hook(lambda node, given, result, name=name: reached.__setitem__(name, result))
    network(x)
    before = dict(reached)
    (site,) = (site for site in attnzoo.sites(network) if site.name == "skip2")
    host_of(network).slot(network, site).fill([("silence", Silence())])
    network(x)
    changed = {name for name in before if not torch.equal(before[name], reached[name])}
    # skip2 is level 2 of the grid, whose nodes are x_0_2, x_1_2 and x_2_2; finer levels hear these, and x_3_3 does not
    assert changed == {"x_0_2", "x_1_2", "x_2_2", "x_0_3", "x_1_3", "x_2_3", "x_0_4"}


@pytest.mark.parametrize(
    ("name", "encoder"),
    [("UnetPlusPlus", "tu-convnext_atto"), ("MAnet", "mit_b0"), ("FPN", "mit_b0"), ("Linknet", "tu-convnext_atto")],
)
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")  # smp's own, for the width 0 at stride 2
def test_features_of_width_0_are_no_sites(name: str, encoder: str) -> None:
    network = model(name, encoder)
    widths = list(network.encoder.out_channels[2:-1])
    assert rows(network, "skip") == list(zip(widths, (4, 8, 16), strict=True))
    insert(network, "ema:groups=auto+gate@skip/se:reduction=2@encoder.bottleneck.decoder")
    assert network(torch.randn(1, 3, 64, 32)).shape == (1, 1, 64, 32)
    assert {record["site"] for record in insertions(network)} == {site.name for site in attnzoo.sites(network)}
