"""torchvision's segmentation networks: every promise of a host, and what each has of its own. Nothing is downloaded."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models import ResNet
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.mobilenetv3 import InvertedResidualConfig, MobileNetV3
from torchvision.models.resnet import BasicBlock
from torchvision.models.segmentation import FCN, LRASPP, DeepLabV3, deeplabv3_mobilenet_v3_large, fcn_resnet50
from torchvision.models.segmentation.deeplabv3 import DeepLabHead
from torchvision.models.segmentation.fcn import FCNHead
from torchvision.models.segmentation.lraspp import _lraspp_mobilenetv3

import attnzoo
from attnzoo import insert

from .promises import Network, asked_of, refusal, to_onnx_and_back

BARE = {"weights": None, "weights_backbone": None, "num_classes": 3}
HEADLESS = "ema:groups=auto@encoder/se@bottleneck/cbam@decoder"


def small(taps: dict[str, str]) -> IntermediateLayerGetter:
    return IntermediateLayerGetter(ResNet(BasicBlock, [1, 1, 1, 1]), taps)


def mobile() -> LRASPP:
    rows = [(8, 3, 16, 8, False, "RE", 1, 1), (8, 3, 24, 12, True, "RE", 2, 1), (12, 3, 24, 20, True, "HS", 2, 1)]
    rows += [(20, 3, 40, 24, False, "HS", 2, 1), (24, 3, 40, 32, True, "HS", 2, 2)]
    return _lraspp_mobilenetv3(MobileNetV3([InvertedResidualConfig(*row, width_mult=1.0) for row in rows], 16), 3)


NETWORKS = {
    "FCN": Network(lambda: FCN(small({"layer4": "out"}), FCNHead(512, 3)), (2, 3, 64, 96), HEADLESS),
    "FCN-aux": Network(
        lambda: FCN(small({"layer4": "out", "layer3": "aux"}), FCNHead(512, 3), FCNHead(256, 3)),
        (2, 3, 64, 96),
        HEADLESS,
    ),
    "DeepLabV3": Network(
        lambda: DeepLabV3(small({"layer4": "out"}), DeepLabHead(512, 3, (2, 4))), (2, 3, 64, 96), HEADLESS
    ),
    "LRASPP": Network(mobile, (2, 3, 64, 96)),
}


@asked_of(NETWORKS)
def test_promise(network: Network, promise: Callable[[Network], None]) -> None:
    promise(network)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_onnx_computes_the_same(name: str, tmp_path: Path) -> None:
    to_onnx_and_back(NETWORKS[name], tmp_path)


def rows(model: nn.Module) -> list[tuple[str, str, int, object]]:
    return [(site.name, site.path, site.channels, site.stride) for site in attnzoo.sites(model)]


def test_a_resnets_layers_are_the_encoder_and_the_last_is_the_bottleneck() -> None:
    assert rows(fcn_resnet50(**BARE, aux_loss=True)) == [
        ("encoder1", "backbone.layer1.slot", 256, 4),
        ("encoder2", "backbone.layer2.slot", 512, 8),
        ("encoder3", "backbone.layer3.slot", 1024, 8),
        ("bottleneck", "backbone.layer4.slot", 2048, 8),
        ("decoder1", "classifier.2.slot", 512, 8),
    ]


def test_a_mobilenets_stages_are_torchvisions_own() -> None:
    assert rows(deeplabv3_mobilenet_v3_large(**BARE)) == [
        ("encoder1", "backbone.0.slot", 16, 2),
        ("encoder2", "backbone.2.slot", 24, 4),
        ("encoder3", "backbone.4.slot", 40, 8),
        ("encoder4", "backbone.7.slot", 80, 16),
        ("encoder5", "backbone.13.slot", 160, 16),
        ("bottleneck", "backbone.16.slot", 960, 16),
        ("decoder1", "classifier.3.slot", 256, 16),
    ]


def test_the_skip_of_lraspp_hears_the_decoder_at_both_resolutions() -> None:
    skip = next(site for site in attnzoo.sites(mobile()) if site.name == "skip1")
    assert (skip.channels, dict(skip.gates)) == (24, {"upsampled": 128, "coarse": 128})
    assert len(attnzoo.insertions(insert(mobile(), "gate+grid_gate"))) == 2


def test_a_slot_at_the_tap_of_the_auxiliary_head_is_heard_by_both_heads() -> None:
    network = NETWORKS["FCN-aux"]
    before, after = (model(network.input()) for model in (network.make(), insert(network.make(), "se@encoder3")))
    assert list(after) == ["out", "aux"]
    assert not torch.equal(after["out"], before["out"])
    assert not torch.equal(after["aux"], before["aux"])


def test_without_a_decoder_there_is_nothing_to_listen_to() -> None:
    assert refusal(lambda: insert(NETWORKS["FCN"].make(), "ema:groups=auto")) == (
        "`FCN` has no site `skip`: none of its encoder's features goes past the bottleneck",
        "it has `encoder`, `encoder1`, `encoder2`, `encoder3`, `bottleneck`, `decoder` and `decoder1`"
        '; or name a module by its path, as in `at="backbone.layer2"`',
    )
    message, _ = refusal(lambda: insert(NETWORKS["FCN"].make(), "gate@encoder"))
    assert message == "`gate` listens to the decoder, and the encoder level 1 of FCN has none"


def test_backbones_of_others_are_refused() -> None:
    layers = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 16, 1))
    model = FCN(IntermediateLayerGetter(layers, {"2": "out"}), FCNHead(16, 3))
    assert refusal(lambda: attnzoo.sites(model)) == (
        "the backbone of this `FCN` is neither a `ResNet` nor a `MobileNetV3` of torchvision",
        "say where by module paths, as in at='backbone.layer2'",
    )
    assert insert(model, "se", at="backbone.2", channels=16)(torch.zeros(1, 3, 8, 8))["out"].shape == (1, 3, 8, 8)
    model.backbone = nn.Identity()
    hint = "furnish a model that is as torchvision builds it"
    assert refusal(lambda: attnzoo.sites(model)) == ("`Identity` in this `FCN` is not as torchvision builds it", hint)
    model = NETWORKS["FCN"].make()
    model.classifier = nn.Conv2d(512, 3, 1)
    assert refusal(lambda: attnzoo.sites(model)) == ("`Conv2d` in this `FCN` is not as torchvision builds it", hint)
