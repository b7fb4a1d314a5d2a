"""`encoder` sites of smp's models: found in any encoder by one run without values, or not offered at all."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

import attnzoo
from attnzoo import insert
from attnzoo.hosts import host_of
from attnzoo.hosts.smp._encoder import stages

from .promises import Silence, refusal

TINY = "tu-test_resnet"


def unet(encoder: str = TINY, **options: Any) -> Any:
    return smp.Unet(encoder, encoder_weights=None, **options).eval()


@pytest.mark.parametrize(
    ("encoder", "paths"),
    [
        ("resnet18", ["relu", "layer1", "layer2", "layer3"]),
        ("mobilenet_v2", ["features.1", "features.3", "features.6", "features.13"]),
        ("vgg11_bn", ["features.6", "features.13", "features.20", "features.27"]),
        ("mit_b0", ["norm1", "norm2", "norm3"]),
        ("efficientnet-b0", ["_swish", "_blocks.2", "_blocks.4", "_blocks.8"]),
        (TINY, ["model.act1", "model.layer1", "model.layer2", "model.layer3"]),
        ("tu-convnext_atto", ["model.stages_0", "model.stages_1", "model.stages_2"]),
        ("tu-mobilenetv3_small_050", ["model.act1", "model.blocks.0", "model.blocks.1", "model.blocks.3"]),
        ("tu-densenet121", []),  # its dense blocks run their children in a way of their own
        ("tu-swin_tiny_patch4_window7_224", []),  # channels last inside
    ],
)
def test_stages_are_found_in_any_encoder_or_not_offered(encoder: str, paths: list[str]) -> None:
    found = [site.path for site in attnzoo.sites(unet(encoder)) if site.family == "encoder"]
    assert found == [f"encoder.{path}.slot_after" for path in paths]


@pytest.mark.parametrize("encoder", [TINY, "mobilenet_v2", "mit_b0"])
def test_deeper_stages_hear_what_a_stage_gives(encoder: str) -> None:
    x, deepest = torch.randn(1, 3, 64, 64), len(unet(encoder).encoder.out_channels) - 1
    for level, (_, _, index) in enumerate(stages(unet(encoder).encoder), start=1):
        network = unet(encoder)
        before = network.encoder(x)
        site = next(site for site in attnzoo.sites(network) if site.name == f"encoder{level}")
        host_of(network).slot(network, site).fill([("silence", Silence())])
        after = network.encoder(x)
        assert not after[index].any()
        assert all(torch.equal(after[other], before[other]) for other in range(index))
        assert not any(torch.equal(after[other], before[other]) for other in range(index + 1, deepest + 1))


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_looking_for_stages_leaves_no_trace(mode: Callable[[], Any], dtype: torch.dtype) -> None:
    network = unet().to(dtype).train()
    before, state = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    with mode():
        assert [site.name for site in attnzoo.sites(network)][:4] == [f"encoder{level}" for level in (1, 2, 3, 4)]
    after = network.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(module._forward_hooks for module in network.modules())
    assert all(module.training for module in network.modules())
    assert all(parameter.grad is None and parameter.is_leaf for parameter in network.parameters())


def test_a_furnished_copy_has_the_same_stages() -> None:
    network = insert(unet(), "se:reduction=2@encoder.bottleneck")
    assert attnzoo.sites(copy.deepcopy(network)) == attnzoo.sites(network) == attnzoo.sites(unet())


def test_an_encoder_without_stages_is_refused_with_what_there_is() -> None:
    message, hint = refusal(lambda: insert(unet("tu-swin_tiny_patch4_window7_224"), "se@encoder"))
    assert message == "`Unet` has no site `encoder`"
    assert hint == (
        "it has `skip`, `skip1`, `skip2`, `skip3`, `bottleneck`, `decoder`, `decoder1`, `decoder2`, `decoder3`, "
        '`decoder4` and `decoder5`; or name a module by its path, as in `at="backbone.layer2"`'
    )


# what counts as a stage


class Encoder(nn.Module):
    """Two stages and a deepest one, joined by a test's own forward."""

    out_channels, output_stride, _in_channels = (3, 4, 6, 8), 8, 3

    def __init__(self, forward: Callable[[Any, Tensor], list[Tensor]], size: int = 64) -> None:
        super().__init__()
        self.one, self.two, self.three = (nn.Conv2d(a, b, 2, 2) for a, b in ((3, 4), (4, 6), (6, 8)))
        self.act, self.norm, self.drop = nn.ReLU(inplace=True), nn.BatchNorm2d(4), nn.Identity()
        self.join, self.size = forward, size

    def forward(self, x: Tensor) -> list[Tensor]:
        assert x.shape[-1] == self.size
        return [x, *self.join(self, x)]


def plain(self: Encoder, x: Tensor) -> list[Tensor]:
    return [a := self.one(x), b := self.two(a), self.three(b)]


def in_place(self: Encoder, x: Tensor) -> list[Tensor]:
    return [a := self.act(self.norm(self.one(x))), b := self.two(self.drop(a)), self.three(b)]


def twice(self: Encoder, x: Tensor) -> list[Tensor]:
    return [a := self.act(self.one(x)), b := self.act(self.two(a)), self.three(b)]


def aside(self: Encoder, x: Tensor) -> list[Tensor]:
    a = self.one(x)
    return [self.norm(a), b := self.two(a), self.three(b)]


def by_function(self: Encoder, x: Tensor) -> list[Tensor]:
    return [a := self.one(x).relu(), b := self.two(a), self.three(b)]


def channels_last(self: Encoder, x: Tensor) -> list[Tensor]:
    a = self.drop(self.one(x).permute(0, 2, 3, 1))
    return [a := a.permute(0, 3, 1, 2).contiguous(), b := self.two(a), self.three(b)]


def other_layout(self: Encoder, x: Tensor) -> list[Tensor]:
    a = self.drop(self.one(x).permute(0, 2, 3, 1).permute(0, 3, 1, 2).relu().transpose(2, 3).transpose(2, 3))
    return [a := a.contiguous(memory_format=torch.channels_last), b := self.two(a), self.three(b)]


@pytest.mark.parametrize(
    ("forward", "paths"),
    [
        (plain, ["encoder.one", "encoder.two"]),
        (in_place, ["encoder.act", "encoder.two"]),  # not `norm`, whose result becomes it, nor `drop`, which gets it
        (other_layout, ["encoder.drop", "encoder.two"]),
        (twice, []),  # a slot behind `act` would be in two places
        (aside, []),  # deeper stages would not hear a change
        (by_function, []),  # no module gives the feature
        (channels_last, []),  # and here one gives it in another order
    ],
)
def test_a_stage_is_the_one_module_whose_result_goes_both_ways(
    forward: Callable[[Any, Tensor], list[Tensor]], paths: list[str]
) -> None:
    assert [path for path, _, _ in stages(Encoder(forward))] == paths


def test_a_stage_that_has_no_place_for_a_slot_is_not_offered_but_what_makes_its_result_is() -> None:
    class Own(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x)

    encoder = Encoder(plain)
    encoder.two = Own(encoder.two)
    assert [path for path, _, _ in stages(encoder)] == ["encoder.one", "encoder.two.0"]


def test_encoders_bound_to_their_own_image_size_have_stages_too() -> None:
    assert len(stages(Encoder(plain, size=224))) == 2
    assert stages(Encoder(plain, size=100)) == ()
