"""segmentation-models-pytorch's models: what the promises of all hosts leave open. Nothing is downloaded."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import segmentation_models_pytorch as smp
import torch
from timm.layers import convert_sync_batchnorm
from torch import Tensor, nn

import attnzoo
from attnzoo import insert, insertions, register
from attnzoo.hosts import host_of

from .promises import refusal

TINY = "tu-test_resnet"  # timm's, made for tests
DECODERS = ["DeepLabV3", "DeepLabV3Plus", "FPN", "Linknet", "MAnet", "PAN", "PSPNet", "Segformer"]
DECODERS += ["UPerNet", "Unet", "UnetPlusPlus"]
EVERYWHERE = "ema:groups=auto+gate@skip/se@bottleneck"


class Mine(smp.Unet):  # type: ignore[misc, name-defined]
    """A user's own subclass."""


def unet(encoder: str = TINY, *, cls: type = smp.Unet, **options: Any) -> smp.Unet:
    narrow = {"encoder_weights": None, "decoder_channels": (48, 32, 24, 16, 16), "classes": 2}
    return cls(encoder, **narrow | options)


@pytest.fixture
def one(fresh: None) -> None:
    """A gated block that weighs the skip with exactly 1, and listens to the coarse signal."""

    @register("one", paper="none", year=2026, reference="this test")
    class One(nn.Module):
        kind: ClassVar[str] = "scale"
        listens: ClassVar[str] = "coarse"

        def __init__(self, channels: int, gate_channels: int) -> None:
            super().__init__()
            self.skip_width = nn.Parameter(torch.zeros(channels, 1, 1))
            self.gate_width = nn.Parameter(torch.zeros(gate_channels, 1, 1))

        def forward(self, x: Tensor, gate: Tensor) -> Tensor:
            return x * self.weights(x, gate)

        def weights(self, x: Tensor, gate: Tensor) -> Tensor:
            return 1 + (x * self.skip_width).sum() + (gate * self.gate_width).sum()


# the sites


@pytest.mark.parametrize(
    ("encoder", "options", "skips", "bottleneck"),
    [
        ("resnet18", {}, [(64, 24, 2), (64, 32, 4), (128, 48, 8), (256, 512, 16)], (512, 32)),
        ("resnet18", {"encoder_depth": 3, "decoder_channels": (16, 8, 4)}, [(64, 16, 2), (64, 128, 4)], (128, 8)),
        ("mobilenet_v2", {}, [(16, 24, 2), (24, 32, 4), (32, 48, 8), (96, 1280, 16)], (1280, 32)),
        ("efficientnet-b0", {}, [(32, 24, 2), (24, 32, 4), (40, 48, 8), (112, 320, 16)], (320, 32)),
        ("vgg11_bn", {}, [(128, 24, 2), (256, 32, 4), (512, 48, 8), (512, 512, 16)], (512, 32)),
        ("mit_b0", {}, [(32, 32, 4), (64, 48, 8), (160, 256, 16)], (256, 32)),
        ("tu-convnext_atto", {}, [(40, 32, 4), (80, 48, 8), (160, 320, 16)], (320, 32)),
    ],
)
def test_any_encoder_has_sites_and_works_furnished(
    encoder: str, options: dict[str, Any], skips: list[tuple[int, int, int]], bottleneck: tuple[int, int]
) -> None:
    model = unet(encoder, **options).eval()
    sites = attnzoo.sites(model)
    found = [site for site in sites if site.family == "skip"]
    assert [(site.channels, site.gates["upsampled"], site.stride) for site in found] == skips
    assert [(site.channels, site.stride) for site in sites if site.name == "bottleneck"] == [bottleneck]
    assert [site.name for site in found] == [f"skip{level}" for level in range(1, len(skips) + 1)]
    insert(model, EVERYWHERE)
    assert attnzoo.sites(model) == sites
    assert len(insertions(model)) == 2 * len(skips) + 1
    assert model(torch.randn(1, 3, 64, 32)).shape == (1, 2, 64, 32)


def test_widths_that_do_not_divide_are_refused_with_the_way_out() -> None:
    message, hint = refusal(lambda: insert(unet("efficientnet-b0"), "ema"))
    assert message == "`ema` cannot split 24 channels into groups=32 (skip level 2 of Unet)"
    assert hint is not None
    assert hint.startswith("24 divides into 1, 2, 3, 4, 6, 8, 12 or 24 groups")
    assert "groups=auto" in hint


def test_groups_taken_by_auto_are_recorded() -> None:
    model = insert(unet("efficientnet-b0"), "ema:groups=auto")
    assert [record["options"]["groups"] for record in insertions(model)] == [32, 24, 20, 28]


# what stays as it was


@pytest.mark.parametrize("options", [{}, {"decoder_attention_type": "scse"}, {"decoder_interpolation": "bilinear"}])
@pytest.mark.parametrize("encoder", [TINY, "mit_b0"])
def test_a_factor_of_one_changes_no_output(one: None, encoder: str, options: dict[str, Any]) -> None:
    model = unet(encoder, **options).eval()
    x = torch.randn(1, 3, 64, 64)
    before, other = model(x), copy.deepcopy(model)
    assert torch.equal(insert(model, "one")(x), before)
    assert not torch.equal(insert(other, "se@bottleneck")(x), before)


def test_pixels_need_not_divide() -> None:
    model, x = unet().eval(), torch.randn(1, 3, 45, 70)
    before = model(x)
    for site in attnzoo.sites(model):
        host_of(model).slot(model, site).fill([("identity", nn.Identity())])
    assert torch.equal(model(x), before)
    assert insert(unet(), "gate").eval()(x).shape == (1, 2, 45, 70)


def test_none_leaves_the_class_alone() -> None:
    model = unet()
    assert type(insert(model, "none")) is smp.Unet
    refusal(lambda: insert(model, "ema:groups=48"))
    assert type(model) is smp.Unet
    assert set(map(type, model.decoder.blocks)) == {type(unet().decoder.blocks[0])}


# copies, files, other models


@pytest.mark.parametrize("cls", [smp.Unet, Mine])
def test_copies_and_pickles_are_furnished_too(cls: type, tmp_path: Path) -> None:
    model = insert(unet(cls=cls), EVERYWHERE).eval()
    x = torch.randn(1, 3, 32, 32)
    torch.save(model, tmp_path / "model.pt")
    for twin in (
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        torch.load(tmp_path / "model.pt", weights_only=False),
    ):
        assert type(twin) is type(model)
        assert isinstance(twin, cls)
        assert insertions(twin) == insertions(model)
        assert torch.equal(twin(x), model(x))
        assert twin.config == model.config
        refusal(lambda twin=twin: twin.save_pretrained("nowhere"))


@pytest.mark.parametrize("cls", [smp.Unet, Mine])
def test_saving_that_would_lose_the_attention_is_refused(cls: type, tmp_path: Path) -> None:
    model = insert(unet(cls=cls), "se")
    expected = (
        f"`save_pretrained` would lose the attention of this `{cls.__name__}`",
        "save its state_dict(); to load it, build the host anew, furnish it by attnzoo.insert, and load_state_dict",
    )
    assert refusal(lambda: model.save_pretrained(tmp_path / "out")) == expected
    assert refusal(lambda: model.push_to_hub("someone/something")) == expected
    assert not (tmp_path / "out").exists()
    unet(cls=cls).save_pretrained(tmp_path / "out")  # others of the class still can


# what is refused


def test_a_second_insertion_is_refused() -> None:
    model = insert(unet(), "se@bottleneck")
    assert refusal(lambda: insert(model, "cbam@skip1.bottleneck")) == (
        "`bottleneck` of `Unet` holds `se` already",
        "build the host anew, and furnish it once: `+` chains blocks, `/` separates sites",
    )
    assert [record["site"] for record in insertions(model)] == ["bottleneck"]


def test_a_gate_has_nothing_to_hear_at_the_bottleneck() -> None:
    assert refusal(lambda: insert(unet(), "gate@bottleneck"))[0] == (
        "`gate` listens to the decoder, and the bottleneck of Unet has none"
    )


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("Unet", "decoder"),
        ("Unet", "decoder.blocks.1"),
        ("UnetPlusPlus", "decoder"),
        ("UnetPlusPlus", "decoder.blocks.x_1_2"),
        ("MAnet", "decoder.blocks.1"),
        ("Linknet", "decoder.blocks.1"),
        ("FPN", "decoder"),
        ("FPN", "decoder.p3"),
        ("FPN", "decoder.p5"),
        ("PAN", "decoder"),
        ("PAN", "decoder.fpa"),
        ("PAN", "decoder.gau2"),
        ("UPerNet", "decoder.psp"),
        ("UPerNet", "decoder.fpn_lateral_blocks.1"),
        ("Segformer", "decoder.mlp_stage.1"),
        ("DeepLabV3Plus", "decoder"),
        ("DeepLabV3Plus", "decoder.aspp.0"),
        ("DeepLabV3", "decoder.aspp"),
        ("PSPNet", "decoder.psp"),
    ],
)
def test_decoders_that_others_have_changed_are_refused(name: str, part: str) -> None:
    model = getattr(smp, name)(TINY, encoder_weights=None)
    theirs = model.get_submodule(part)
    theirs.__class__ = type("Stranger", (type(theirs),), {})
    assert refusal(lambda: insert(model, "se")) == (
        f"`Stranger` in the decoder of this `{name}` is not smp's",
        "furnish a model whose decoder is as smp builds it",
    )
    model.decoder = nn.Identity()
    assert refusal(lambda: insert(model, "se"))[0] == f"`Identity` in the decoder of this `{name}` is not smp's"


def test_a_decoder_whose_forward_was_changed_is_refused_where_it_would_be_written_out() -> None:
    model = unet()
    block = model.decoder.blocks[1]
    forward = block.forward
    block.forward = lambda *inputs: forward(*inputs)
    assert refusal(lambda: insert(model, "se:reduction=2@skip")) == (
        f"`decoder.blocks.1` (`{type(block).__name__}`) was given another forward than that of its class",
        "furnish the module first, then change its forward; or name the module around it, or one of its children",
    )
    assert type(model) is smp.Unet
    assert set(map(type, model.decoder.blocks)) == {type(unet().decoder.blocks[0])}
    head = smp.FPN(TINY, encoder_weights=None)
    forward = head.decoder.p5.forward
    head.decoder.p5.forward = lambda x: forward(x)
    assert refusal(lambda: insert(head, "se:reduction=2@bottleneck"))[0] == (
        "`decoder.p5` (`Conv2d`) was given another forward than that of its class"
    )


def test_a_decoder_without_what_smp_builds_is_told_as_such() -> None:
    class Adapter(nn.Module):
        def __init__(self, base: nn.Module) -> None:
            super().__init__()
            self.base = base

        def forward(self, x: Any) -> Any:
            return self.base(x)

    model, after = unet(), insert(unet(), "se:reduction=2")
    for network, ask in ((model, lambda: insert(model, "se:reduction=2")), (after, lambda: insertions(after))):
        network.decoder.blocks[1].conv1[0] = Adapter(network.decoder.blocks[1].conv1[0])
        assert refusal(ask) == (
            "this `Unet` is not as its library builds it: 'Adapter' object has no attribute 'in_channels'",
            'furnish it, and ask for its sites, before you change it; or name a module, as in `at="backbone.layer2"`',
        )


@pytest.mark.filterwarnings("ignore:`timm-` encoders are deprecated")  # this one has a fused norm
def test_norms_that_were_exchanged_after_furnishing_are_told() -> None:
    model = insert(smp.Unet("timm-efficientnet-b0", encoder_weights=None), "simam@encoder1")
    assert insertions(model)
    model = convert_sync_batchnorm(model)
    assert refusal(lambda: insertions(model))[0] == (
        "`encoder.bn1` (`SyncBatchNormAct`) was replaced after it was furnished, and runs no attention any more"
    )


@pytest.mark.parametrize("name", DECODERS)
def test_any_sequence_of_a_decoder_may_be_furnished_by_its_path_and_the_sites_stay(name: str) -> None:
    model = getattr(smp, name)(TINY, encoder_weights=None)
    sites = attnzoo.sites(model)
    run = nn.Sequential.forward
    paths = [path for path, module in model.decoder.named_modules() if getattr(type(module), "forward", None) is run]
    for path in paths:
        insert(model, "simam", at=f"decoder.{path}", channels=8)
    assert attnzoo.sites(model)[: len(sites)] == sites
    assert len(insertions(model)) == len(paths) > 0


def test_a_changed_fusion_of_dpt_is_refused() -> None:
    model = smp.DPT("tu-test_vit", encoder_weights=None)
    model.decoder.fusion_blocks[0].__class__ = type("Stranger", (type(model.decoder.fusion_blocks[0]),), {})
    assert refusal(lambda: insert(model, "se"))[0] == "`Stranger` in the decoder of this `DPT` is not smp's"


# several insertions, and training


@pytest.mark.parametrize("name", ["Unet", "UnetPlusPlus", "FPN", "DeepLabV3Plus"])
def test_sites_and_paths_may_be_furnished_in_any_order(name: str) -> None:
    torch.manual_seed(0)
    bare = getattr(smp, name)(TINY, encoder_weights=None).eval()
    x, path = torch.randn(1, 3, 64, 64), attnzoo.sites(bare)[-1].beside
    parts: list[Callable[[Any], Any]] = [
        lambda model: insert(model, "se:reduction=2", at=path, channels=256, seed=0),
        lambda model: insert(model, "ema:groups=auto+gate@skip/se:reduction=2@encoder.bottleneck.decoder", seed=0),
    ]
    first, last = copy.deepcopy(bare), copy.deepcopy(bare)
    for furnish, furnish_backwards in zip(parts, reversed(parts), strict=True):
        furnish(first)
        furnish_backwards(last)
    assert insertions(first) == insertions(last)
    assert torch.equal(first(x), last(x))
    assert torch.equal(copy.deepcopy(first)(x), last(x))


def test_learns_with_a_frozen_encoder() -> None:
    model = insert(unet(), EVERYWHERE).train()
    model.freeze_encoder()
    x, target = torch.randn(2, 3, 64, 64), torch.randint(2, (2, 64, 64))
    nn.functional.cross_entropy(model(x), target).backward()
    trained = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert trained == {name for name, _ in model.named_parameters() if not name.startswith("encoder.")}
