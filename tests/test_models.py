"""A recipe's network: the host first and alike for every attention, pretrained weights or a clear refusal."""

import time
from typing import get_args, get_type_hints

import pytest
import torch

from attnzoo import insertions
from attnzoo.errors import AttnzooError
from attnzoo.measure.parameters import parameters
from attnzoo.models import build_model, empty_model
from attnzoo.recipe import Data, Model, Recipe, Training


def recipe(attention: str = "none", seed: int = 0, **model: object) -> Recipe:
    options = {"widths": (32, 64)} | model if model.get("host", "UNet") == "UNet" else model
    return Recipe(model=Model(attention=attention, **options), training=Training(seed=seed))


@pytest.mark.parametrize("host", [{}, {"host": "smp.Unet", "encoder": "resnet18"}], ids=["UNet", "smp.Unet"])
@pytest.mark.parametrize("attention", ["ema", "ema+gate@skip/se@bottleneck"])
def test_at_one_seed_all_attentions_start_from_the_same_host(attention, host):
    host = {"widths": (32, 64)} | host if "host" not in host else host
    bare = build_model(recipe("none", **host), 4).state_dict()
    furnished = build_model(recipe(attention, **host), 4).state_dict()
    assert bare.keys() < furnished.keys()
    assert all(torch.equal(value, furnished[key]) for key, value in bare.items())


def test_another_seed_is_another_host():
    first, second = (build_model(recipe(seed=seed), 4).state_dict() for seed in (0, 1))
    assert not torch.equal(first["head.weight"], second["head.weight"])


def test_building_leaves_the_global_stream_alone():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    build_model(recipe("gate"), 4)
    assert torch.equal(torch.rand(3), expected)


def test_a_default_device_does_not_take_the_model_away():
    with torch.device("meta"):
        model = build_model(recipe("gate"), 4)
    assert all(map(torch.equal, model.state_dict().values(), build_model(recipe("gate"), 4).state_dict().values()))


@pytest.mark.parametrize(
    ("attention", "expected"),
    [
        ("none", 7_703_692),
        ("gate", 7_791_285),
        ("ema+gate@skip/ema@bottleneck", 7_794_805),
        ("ema", 7_704_588),
    ],
)
def test_the_papers_models_have_the_papers_parameters(attention, expected):
    assert parameters(build_model(Recipe(model=Model(attention=attention)), 12)) == expected


@pytest.mark.parametrize(
    "attention",
    ["ema@bottleneck", "ema@skip.bottleneck", "ema@skip1", "se@encoder2.encoder3", "cbam@encoder/se@decoder"],
)
def test_residual_models_begin_as_their_host_wherever_attention_sits(attention):
    widths = (32, 32, 32, 64)
    bare = build_model(recipe("none", widths=widths), 4)
    model = build_model(recipe(attention, widths=widths, residual="zero"), 4)
    plain = build_model(recipe(attention, widths=widths), 4)
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(model.train()(x), bare.train()(x))
    assert not torch.equal(plain.train()(x), bare(x))
    sites = len({name for name, _ in model.named_parameters() if name.endswith(".gamma")})
    assert parameters(model) == parameters(plain) + sites > parameters(plain)


def test_classes_and_channels_are_what_was_asked():
    model = build_model(recipe(host="smp.Unet", encoder="resnet18", in_channels=1), 5).eval()
    with torch.inference_mode():
        assert model(torch.zeros(1, 1, 64, 64)).shape == (1, 5, 64, 64)


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"encoder": "resnet19"}, "smp has no encoder `resnet19`", "did you mean `resnet18`?"),
        (
            {"encoder": "qqqqq"},
            "smp has no encoder `qqqqq`",
            "see segmentation_models_pytorch.encoders",
        ),
        (
            {"encoder": "tu-resnet18z"},
            "timm has no model for the encoder `tu-resnet18z`",
            "did you mean `tu-resnet18`?",
        ),
        (
            {"encoder": "resnet18", "encoder_weights": "imagnet"},
            "`resnet18` has no weights `imagnet`",
            "did you mean `imagenet`?",
        ),
        (
            {"encoder": "resnet18", "encoder_weights": "qqq"},
            "`resnet18` has no weights `qqq`",
            "it has `imagenet`, `ssl` and `swsl`",
        ),
        (
            {"encoder": "tu-resnet18", "encoder_weights": "imagenet"},
            "`tu-resnet18` has no weights `imagenet`, only `default`",
            'timm names weights in the encoder: encoder = "tu-resnet18.a1_in1k", encoder_weights = "default"',
        ),
        (
            {"encoder": "tu-vit_tiny_patch16_224"},
            "`tu-vit_tiny_patch16_224` cannot be the encoder of `smp.Unet`: Unsupported model downsampling pattern",
            "choose another",
        ),
    ],
)
def test_impossible_encoders_are_refused(options, message, hint):
    with pytest.raises(AttnzooError) as error:
        build_model(recipe(host="smp.Unet", **options), 4)
    assert (error.value.message, error.value.hint) == (message, hint)


@pytest.mark.parametrize(("encoder", "weights"), [("resnet18", "imagenet"), ("tu-resnet18", "default")])
def test_weights_out_of_reach_are_told_at_once(encoder, weights, tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    began = time.monotonic()
    with pytest.raises(AttnzooError) as error:
        build_model(recipe(host="smp.Unet", encoder=encoder, encoder_weights=weights), 4)
    assert time.monotonic() - began < 10  # the client's own retries take 46 s
    assert error.value.message == f"the weights `{weights}` of `{encoder}` are neither in the local cache nor in reach"
    assert error.value.hint == (
        "fetch them once on a machine with a network (cache: $HF_HOME), or leave `model.encoder_weights` out"
    )
    assert constants.HF_HUB_OFFLINE is False


def test_a_model_for_weights_from_a_file_fetches_none():
    model = empty_model(recipe(host="smp.Unet", encoder="resnet18", encoder_weights="imagenet"), 4)
    plain = build_model(recipe(host="smp.Unet", encoder="resnet18"), 4)
    assert all(torch.equal(value, plain.state_dict()[key]) for key, value in model.state_dict().items())


SMP = [host for host in get_args(get_type_hints(Model)["host"]) if host.startswith("smp.")]


@pytest.mark.parametrize("host", SMP)
def test_every_host_of_smp_is_reached_from_a_recipe(host):
    encoder = "tu-test_vit" if host == "smp.DPT" else "tu-test_resnet"
    given = recipe("se:reduction=2@bottleneck.decoder", host=host, encoder=encoder)
    model = build_model(Recipe(data=Data(image_size=(128, 128)), model=given.model), 5).eval()
    assert f"smp.{type(model).__name__}" == host
    assert {record["site"] for record in insertions(model)} >= {"bottleneck", "decoder1"}
    with torch.inference_mode():
        assert model(torch.zeros(1, 3, 128, 128)).shape == (1, 5, 128, 128)


@pytest.mark.parametrize(
    ("host", "size", "message", "hint"),
    [
        ("FPN", (45, 64), "edges that 32 divides, not `45×64`", "write data.image_size = [64, 64]"),
        ("DeepLabV3", (48, 50), "edges that 8 divides, not `48×50`", "write data.image_size = [48, 56]"),
        ("PAN", (64, 200), "edges that 16 divides, 128 or more, not `64×200`", "write data.image_size = [128, 208]"),
    ],
)
def test_sizes_that_a_decoder_cannot_take_are_told(host, size, message, hint):
    given = Recipe(data=Data(image_size=size), model=Model(host=f"smp.{host}", encoder="tu-test_resnet"))
    with pytest.raises(AttnzooError) as error:
        build_model(given, 4)
    assert error.value.message == f"`smp.{host}` with `tu-test_resnet` takes images with {message}"
    assert error.value.hint == hint


def test_a_unet_of_smp_takes_any_size():
    given = Recipe(data=Data(image_size=(45, 70)), model=Model(host="smp.Unet", encoder="tu-test_resnet"))
    assert build_model(given, 4).eval()(torch.zeros(1, 3, 45, 70)).shape == (1, 4, 45, 70)


@pytest.mark.parametrize(
    ("host", "encoder", "message"),
    [
        ("Linknet", "mit_b0", "Encoder `mit_b0` is not supported for Linknet"),
        ("DPT", "resnet18", "Only Timm encoders are supported for DPT"),
    ],
)
def test_encoders_that_a_decoder_cannot_have_are_told(host, encoder, message):
    with pytest.raises(AttnzooError) as error:
        build_model(recipe(host=f"smp.{host}", encoder=encoder), 4)
    assert error.value.message.startswith(f"`{encoder}` cannot be the encoder of `smp.{host}`: {message}")
    assert error.value.hint == "choose another"
