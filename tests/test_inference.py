"""A network prepared for inference: the same numbers, fewer layers, no training, and the given one untouched."""

import copy
import pickle
from typing import Any, cast

import pytest
import segmentation_models_pytorch as smp
import torch
import torchvision
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

import attnzoo
from attnzoo import registry, spec
from attnzoo.errors import AttnzooError
from attnzoo.inference import for_inference

Net = nn.Module


def lived(model: Net) -> Net:
    """Statistics and weights as after some training: none is 0 or 1."""
    draw = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, _BatchNorm) and module.running_mean is not None and module.running_var is not None:
            module.running_mean.normal_(0, 0.3, generator=draw)
            module.running_var.uniform_(0.5, 2, generator=draw)
            if module.affine:
                nn.init.normal_(module.bias, 0, 0.3, generator=draw)
                nn.init.uniform_(module.weight, 0.5, 1.5, generator=draw)
    return model


def norms(model: Net) -> int:
    return sum(isinstance(module, _BatchNorm) for module in model.modules())


def unet(attention: str = "none") -> Net:
    return (
        attnzoo.insert(attnzoo.UNet(widths=(8, 16, 32)), attention, seed=0)
        if attention != "none"
        else attnzoo.UNet(widths=(8, 16, 32))
    )


def smp_unet(encoder: str, attention: str = "gate") -> Net:
    return attnzoo.insert(
        smp.Unet(encoder, encoder_weights=None, decoder_channels=(32, 32, 16, 16, 16)), attention, seed=0
    )


NETS: dict[str, Any] = {
    **{
        name: lambda name=name: unet(name)
        for name in ("none", "gate", "grid_gate", "cbam:reduction=4", "ema:groups=4", "coord")
    },
    "ema:groups=4+gate@skip/ema:groups=4@bottleneck": lambda: unet("ema:groups=4+gate@skip/ema:groups=4@bottleneck"),
    "smp.Unet, resnet18": lambda: smp_unet("resnet18"),
    "smp.Unet, resnet18, encoder": lambda: smp_unet("resnet18", "se@encoder2.decoder"),
    "smp.Unet, timm-resnet18": lambda: smp_unet("tu-resnet18"),
}


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("layout", ["auto", "contiguous", "channels_last"])
def test_the_outputs_are_the_same(name: str, layout: Any) -> None:
    model = lived(NETS[name]()).double().eval()
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    kept = copy.deepcopy(model.state_dict())
    prepared = for_inference(model, layout=layout)
    with torch.inference_mode():
        torch.testing.assert_close(prepared(x), model(x), rtol=1e-10, atol=1e-10)
    assert all(torch.equal(value, kept[key]) for key, value in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any(parameter.requires_grad for parameter in prepared.parameters())
    assert norms(model) > 0
    if "timm" not in name:  # its stem's norm contains the activation
        assert norms(prepared) == 0


def test_in_float32_it_is_rounding() -> None:
    model = lived(unet("ema:groups=4+gate")).eval()
    x = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(for_inference(model)(x), model(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", registry.available())
def test_no_block_notices(name: str) -> None:
    try:
        block = registry.build_block(spec.Block(name), 64, 64 if registry.signal(spec.Block(name)) else None)
    except AttnzooError as error:
        pytest.skip(error.message)
    if (check := getattr(block, "check_size", None)) is not None:
        try:
            check((16, 16))
        except AttnzooError as error:
            pytest.skip(error.message)
    lived(block).double().eval()
    inputs = [torch.randn(2, 64, 16, 16, dtype=torch.float64) for _ in range(2 if hasattr(block, "listens") else 1)]
    if getattr(block, "listens", None) is None:
        inputs = inputs[:1]
    with torch.inference_mode():
        wanted = block(*inputs)
        torch.testing.assert_close(for_inference(block)(*inputs), wanted, rtol=1e-9, atol=1e-9, equal_nan=True)


def test_only_what_runs_next_to_each_other_is_folded() -> None:
    shared = nn.Conv2d(3, 3, 1)
    hooked = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    seen: list[Tensor] = []
    hooked[0].register_forward_hook(lambda module, inputs, result: seen.append(result))
    stateless = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False))
    between = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), nn.BatchNorm2d(3))
    twice = nn.Sequential(nn.Sequential(shared, nn.BatchNorm2d(3)), nn.Sequential(shared, nn.BatchNorm2d(3)))
    upward = nn.Sequential(nn.ConvTranspose2d(3, 3, 2, stride=2, groups=3), nn.BatchNorm2d(3))
    for module in (hooked, stateless, between, twice, upward):
        prepared = for_inference(lived(module).eval())
        assert norms(prepared) == norms(module)
        x = torch.randn(2, 3, 5, 5)
        with torch.inference_mode():
            assert torch.equal(prepared(x), module(x))


class Features(nn.Sequential):
    """Takes what the convolution gives before its norm, as a perceptual loss does."""

    def forward(self, x: Tensor) -> Tensor:
        return self[0](x) + super().forward(x)


class Deeper(torchvision.models.ResNet):
    """Another forward, in the place where torchvision's says it."""

    def _forward_impl(self, x: Tensor) -> Tensor:
        return cast("Tensor", self.conv1(x).mean((2, 3)) + self.bn1(self.conv1(x)).mean((2, 3)))


def test_networks_that_look_between_a_convolution_and_its_norm() -> None:
    x, walked = torch.randn(2, 3, 8, 8), nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    block = torchvision.models.resnet.BasicBlock
    for model, fold in (
        (Features(*walked), True), (Deeper(block, [1, 1, 1, 1]), True), (nn.Sequential(walked), False)
    ):  # fmt: skip
        prepared = for_inference(lived(model).eval(), fold=fold)
        with torch.inference_mode():
            torch.testing.assert_close(prepared(x), model(x))
    assert norms(prepared) == 1


def test_a_recording_does_not_outlive_its_weights() -> None:
    model = lived(unet("gate")).eval()
    for change, stays in (
        (lambda one: one.load_state_dict(one.state_dict()), True),
        (lambda one: one.load_state_dict(one.state_dict(), assign=True), False),
        (lambda one: one.half(), False),
    ):
        prepared: Any = for_inference(model)
        prepared.replay = "a recording"
        change(prepared)
        assert (prepared.replay is not None) is stays


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_every_kind_of_convolution_is_folded(dims: int, transposed: bool, bias: bool) -> None:
    layer = getattr(nn, f"Conv{'Transpose' if transposed else ''}{dims}d")
    norm = getattr(nn, f"BatchNorm{dims}d")
    model = lived(nn.Sequential(layer(2, 5, 3, bias=bias), norm(5), norm(5, affine=False))).double().eval()
    prepared, x = for_inference(model), torch.randn(2, 2, *[6] * dims, dtype=torch.float64)
    assert norms(prepared) == 1  # the second follows no convolution
    with torch.inference_mode():
        torch.testing.assert_close(prepared(x), model(x), rtol=1e-10, atol=1e-12)


def test_it_survives_a_copy_a_pickle_and_a_save() -> None:
    prepared = for_inference(lived(unet("gate")).eval())
    x = torch.randn(1, 3, 16, 16)
    again = for_inference(unet("gate"))
    again.load_state_dict(prepared.state_dict())
    for other in (copy.deepcopy(prepared), pickle.loads(pickle.dumps(prepared)), again):
        assert torch.equal(other(x), prepared(x))
        with pytest.raises(AttnzooError):
            other.train()


def test_weights_are_loaded_into_a_model_of_smp() -> None:
    prepared, other = for_inference(lived(smp_unet("resnet18"))), for_inference(smp_unet("resnet18"))
    other.load_state_dict(prepared.state_dict(), strict=True, assign=True)
    x = torch.randn(1, 3, 64, 64)
    assert torch.equal(other(x), prepared(x))


def test_training_is_refused() -> None:
    prepared = for_inference(unet())
    assert type(prepared).__name__ == "UNet"
    assert prepared.eval() is prepared
    with pytest.raises(AttnzooError) as caught:
        prepared.train()
    assert str(caught.value) == (
        "this `UNet` was prepared for inference and cannot be trained\n"
        "hint: its batch norms are folded away: train the model that it was made from, and prepare that again"
    )


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (lambda: 3, {}, "only a `torch.nn.Module` can be prepared, not a `int`\nhint: give a model"),
        (
            lambda: nn.DataParallel(unet()),
            {},
            "a model inside `DataParallel` cannot be prepared for inference\n"
            "hint: prepare the model first, then wrap it",
        ),
        (
            lambda: for_inference(unet()),
            {},
            "this `UNet` was prepared for inference already\nhint: use it as it is",
        ),
        (
            unet,
            {"layout": "nhwc"},
            "layout='nhwc' is unknown\nhint: possible: `auto`, `contiguous` or `channels_last`",
        ),
        (
            unet,
            {"example": torch.zeros(1, 3, 8, 8, device="meta")},
            "the example is on `meta`, and the model on `cpu`\nhint: move one of them",
        ),
        (
            unet,
            {"example": torch.zeros(1, 3, 8, 8)},
            "a forward is recorded as a CUDA graph, and the model is on `cpu`\n"
            "hint: leave `example` out, or move both to a CUDA device",
        ),
    ],
)
def test_what_cannot_be_prepared(model: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(AttnzooError) as caught:
        for_inference(model(), **options)
    assert str(caught.value) == message


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_recorded_forward_is_replayed() -> None:
    model = lived(unet("gate")).cuda().eval()
    prepared: Any = for_inference(model, torch.zeros(1, 3, 32, 32, device="cuda"))
    with torch.inference_mode():
        for size in (32, 48):
            x = torch.randn(1, 3, size, size, device="cuda")
            first = prepared(x)
            prepared(torch.zeros_like(x))  # what was given stays as it was
            torch.testing.assert_close(first, model(x), rtol=1e-3, atol=1e-3)
    assert prepared.replay is not None
    assert prepared.cpu().replay is None
