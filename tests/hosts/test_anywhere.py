"""Attention behind any module of any network, named by its path."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn
from torchvision.models import resnet18, swin_t
from torchvision.models.segmentation import fcn_resnet50

import attnzoo
from attnzoo import UNet, insert, insertions
from attnzoo.errors import AttnzooError
from attnzoo.hosts import Site

IMAGE = torch.zeros(1, 3, 32, 48)


class Stage(nn.Module):
    """A convolution, a norm, and something random."""

    def __init__(self, before: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(before, width, 3, stride, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.norm(self.convolution(x)).relu())


class Net(nn.Module):
    """Whatever a network may hold."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Stage(3, 8)
        self.layer1 = nn.Sequential(Stage(8, 16, 2), Stage(16, 16))
        self.layer2 = nn.Sequential(Stage(16, 32, 2))
        self.relu = nn.ReLU()
        self.twice = nn.Conv2d(32, 32, 1)
        self.unused = nn.Conv2d(3, 3, 1)
        self.both = Both()
        self.parts = nn.ModuleList([nn.Conv2d(32, 4, 1)])
        self.alias = self.parts[0]
        self.head = nn.Linear(4, 2)
        self.norm = nn.LayerNorm(4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.layer2(self.layer1(self.stem(x))))
        x = self.twice(self.twice(x))
        x = self.parts[0](self.both(x)[0])
        tokens = self.norm(x.flatten(2).transpose(1, 2))
        return self.head(tokens.mean(1))


class Both(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


def net() -> Net:
    torch.manual_seed(0)
    return Net()


def refusal(call: Callable[[], Any]) -> tuple[str, str | None]:
    with pytest.raises(AttnzooError) as caught:
        call()
    return caught.value.message, caught.value.hint


# where it sits


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("stem", [("stem", 8, 1)]),
        ("layer1", [("layer1", 16, 2)]),
        ("layer?", [("layer1", 16, 2), ("layer2", 32, 4)]),
        ("layer1.*", [("layer1.0", 16, 2), ("layer1.1", 16, 2)]),
        ("layer1.0.convolution", [("layer1.0.convolution", 16, 2)]),
        ("*.0.norm", [("layer1.0.norm", 16, 2), ("layer2.0.norm", 32, 4)]),
        ("[ls]*[!1]", [("stem", 8, 1), ("layer2", 32, 4)]),
        ("relu", [("relu", 32, 4)]),
        ("twice", [("twice", 32, 4)]),
        ("alias", [("parts.0", 4, 4)]),
        ("parts.*", [("parts.0", 4, 4)]),
    ],
)
def test_paths_and_patterns_mean_modules_that_an_example_measures(
    at: str, expected: list[tuple[str, int, int]]
) -> None:
    model = insert(net(), "simam", at=at, example=IMAGE)
    assert attnzoo.sites(model) == tuple(
        Site(path, f"{path}.after", path, 0, width, {}, stride, 2) for path, width, stride in expected
    )
    assert [(record["site"], record["channels"]) for record in insertions(model)] == [one[:2] for one in expected]


def test_the_result_of_the_module_passes_the_block() -> None:
    model, plain = insert(net(), "se:reduction=2", at="layer?", example=IMAGE, seed=0).eval(), net().eval()
    x = torch.randn(2, 3, 16, 16)
    features = plain.layer1(plain.stem(x))
    block = model.layer1.after.blocks[0]
    assert torch.equal(model.layer1(model.stem(x)), block(features))
    block = model.layer2.after.blocks[0]
    assert torch.equal(model.layer2(features), block(plain.layer2(features)))


@pytest.mark.parametrize("at", ["layer1", "stem"])
def test_widths_may_be_said_and_convolutions_tell_the_dimensions(at: str) -> None:
    model = insert(net(), "se:reduction=2", at=at, channels={"layer1": 16, "stem": 8}[at])
    (site,) = attnzoo.sites(model)
    assert (site.stride, site.dims) == (0, 2)
    model(torch.randn(2, 3, 8, 8))
    volume = insert(nn.Sequential(nn.Conv3d(1, 4, 3), nn.ReLU()), "se:reduction=2", at="1", channels=4)
    assert attnzoo.sites(volume)[0].dims == 3
    assert volume(torch.randn(1, 1, 4, 5, 6)).shape == (1, 4, 2, 3, 4)


def test_anisotropic_strides_are_measured_along_each_axis() -> None:
    model = nn.Sequential(nn.Conv3d(1, 4, 3, stride=(1, 2, 2), padding=1))
    insert(model, "simam", at="0", example=torch.zeros(1, 1, 8, 16, 16))
    assert (attnzoo.sites(model)[0].stride, attnzoo.sites(model)[0].dims) == ((1, 2, 2), 3)


def test_an_example_may_be_all_that_a_network_takes() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mix = nn.Conv2d(5, 7, 1)

        def forward(self, text: str, x: Tensor, y: Tensor) -> Tensor:
            return self.mix(torch.cat([x, y], 1))

    model = insert(Two(), "simam", at="mix", example=("a", torch.zeros(1, 3, 8, 8), torch.zeros(1, 2, 8, 8)))
    assert (attnzoo.sites(model)[0].channels, attnzoo.sites(model)[0].stride) == (7, 1)


def test_networks_of_other_libraries_take_it() -> None:
    model = insert(resnet18().eval(), "ema", at="layer?", example=IMAGE)
    assert [(site.name, site.channels, site.stride) for site in attnzoo.sites(model)] == [
        ("layer1", 64, 4),
        ("layer2", 128, 8),
        ("layer3", 256, 16),
        ("layer4", 512, 32),
    ]
    assert model(IMAGE).shape == (1, 1000)
    segmenter = fcn_resnet50(weights=None, weights_backbone=None, num_classes=2).eval()
    insert(segmenter, "eca", at="backbone.layer3", example=IMAGE)
    assert segmenter(IMAGE)["out"].shape == (1, 2, 32, 48)


def test_a_network_without_known_sites_may_have_modules_named_like_them() -> None:
    class Twin(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder1 = nn.Conv2d(3, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.encoder1(x)

    model = insert(Twin(), "simam", at="encoder1", example=IMAGE)
    assert [site.name for site in attnzoo.sites(model)] == ["encoder1"]
    assert refusal(lambda: insert(Twin(), "simam", at="encoder2", example=IMAGE))[0] == (
        "attnzoo does not know the sites of `Twin`"
    )


# hosts take paths too


def unet() -> nn.Module:
    return smp.Unet("resnet18", encoder_weights=None, decoder_channels=(32, 16, 16, 8, 8), classes=2).eval()


@pytest.mark.parametrize("first", ["words", "path"])
@pytest.mark.parametrize("at", ["encoder.layer2", "decoder.blocks.0", "decoder.blocks.1.conv1"])
def test_hosts_take_paths_beside_their_sites(at: str, first: str) -> None:
    model = unet()
    steps = [lambda: insert(model, "gate@skip/simam@bottleneck"), lambda: insert(model, "eca", at=at, example=IMAGE)]
    for step in steps if first == "words" else steps[::-1]:
        step()
    assert [record["site"] for record in insertions(model)] == ["skip1", "skip2", "skip3", "skip4", "bottleneck", at]
    with attnzoo.maps(model) as shown:
        model(torch.randn(1, 3, 64, 64))
    assert list(shown)[-1] == (at, "eca")
    assert len(shown) == 6
    twin = copy.deepcopy(model)
    assert insertions(twin) == insertions(model)
    assert torch.equal(twin(x := torch.randn(1, 3, 64, 64)), model(x))


def test_our_unet_takes_paths_too() -> None:
    model = insert(UNet(widths=(4, 8)), "simam", at="decoder.0", channels=4)
    insert(model, "eca@decoder")
    assert [record["site"] for record in insertions(model)] == ["decoder1", "decoder.0"]
    model(torch.randn(2, 3, 8, 8))


# what the dry run leaves behind: nothing


def test_a_dry_run_leaves_no_trace() -> None:
    model = net()
    model.layer1.eval()
    before, modes = copy.deepcopy(model.state_dict()), [module.training for module in model.modules()]
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    insert(model, "simam", at="layer2", example=IMAGE, seed=0)
    assert torch.equal(torch.rand(2), expected)
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in before.items())
    known = dict(net().named_modules())
    assert [module.training for path, module in model.named_modules() if path in known] == modes
    assert not any(module._forward_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_failing_dry_run_leaves_no_trace_either() -> None:
    model = net().train()
    message, hint = refusal(lambda: insert(model, "simam", at="layer2", example=torch.zeros(1, 4, 8, 8)))
    assert message.startswith("`Net` cannot run the example: Given groups=1, weight of size [8, 3, 3, 3]")
    assert hint == "give a tensor as the network takes it, on its device, or a tuple of all that it takes"
    assert all(module.training for module in model.modules())
    assert not any(module._forward_hooks for module in model.modules())
    assert type(model.layer2) is nn.Sequential
    assert refusal(lambda: attnzoo.sites(model))[0] == "attnzoo does not know the sites of `Net`"


def test_blocks_live_where_their_module_does() -> None:
    model = net().double().eval()
    insert(model, "se:reduction=2", at="relu", example=IMAGE.double(), residual="zero")
    slot = model.relu.after
    assert {parameter.dtype for parameter in slot.parameters()} == {torch.float64}
    assert not any(module.training for module in slot.modules())
    assert insert(net(), "simam", at="stem", channels=8).stem.after.training


# what is refused

MAP = "name a module whose result is one map, (B, C, *spatial)"
AROUND = "name the module around it, or one of its children"


@pytest.mark.parametrize(
    ("keywords", "message", "hint"),
    [
        ({"at": "layr1"}, "`Net` has no module `layr1`", "did you mean `layer1`?"),
        ({"at": "qqqq.*"}, "`Net` has no module `qqqq.*`", "`model.named_modules()` tells all paths"),
        (
            {"at": "unused"},
            "`unused` of `Net` is not called when the network runs",
            "name the module around it, or give another example",
        ),
        ({"at": "both"}, "`both` of `Net` gives a `tuple`", MAP),
        ({"at": "norm"}, "`norm` of `Net` gives `(1, 96, 4)`: tokens, not a map", MAP),
        ({"at": "head"}, "`head` of `Net` gives `(1, 2)`", MAP),
        (
            {"at": "parts"},
            "`parts` (`ModuleList`) runs its children in a way of its own, and has no place for one more",
            AROUND,
        ),
        (
            {"at": "layer1", "example": None},
            "the width of `layer1` in `Net` is unknown",
            "give an input, as in `example=torch.zeros(1, 3, 64, 64)`, or the width, as in `channels=128`",
        ),
        (
            {"at": "layer1", "channels": 16},
            "the width of `layer1` in `Net` is said twice",
            "give an input, as in `example=torch.zeros(1, 3, 64, 64)`, or the width, as in `channels=128`",
        ),
        (
            {"at": "layer1", "channels": 0, "example": None},
            "`layer1` cannot have channels=0",
            "a width is a whole number from 1 up",
        ),
        (
            {"at": "layer1", "attention": "gate"},
            "`gate` listens to the decoder, and nobody knows it behind `layer1` of Net",
            "place it on the skips of a host, `skip`, or teach attnzoo this network's sites by `attnzoo.teach`",
        ),
        (
            {"at": "layer1", "attention": "ema"},
            "`ema` cannot split 16 channels into groups=32 (`layer1` of Net)",
            "16 divides into 1, 2, 4, 8 or 16 groups, and `groups=auto` takes the largest up to 32",
        ),
        (
            {"at": "layer1", "attention": "simam@skip"},
            "`simam@skip` says where it sits, and at=`layer1` says it again",
            "leave one of them out",
        ),
        ({"at": "layer1", "attention": "cbma"}, "`cbma` is no block", "did you mean `cbam`?"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_no_trace(keywords: dict[str, Any], message: str, hint: str) -> None:
    model = net()
    keys = model.state_dict().keys()
    assert refusal(lambda: insert(model, **{"attention": "simam", "example": IMAGE} | keywords)) == (message, hint)
    assert model.state_dict().keys() == keys
    assert [type(module).__name__ for module in model.modules()] == [
        type(module).__name__ for module in net().modules()
    ]
    assert not any(isinstance(module, attnzoo.Slot) for module in model.modules())


def test_a_module_with_several_widths_is_refused() -> None:
    class Uneven(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.relu = nn.ReLU()
            self.widen = nn.Conv2d(3, 8, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.relu(self.widen(self.relu(x)))

    assert refusal(lambda: insert(Uneven(), "simam", at="relu", example=IMAGE)) == (
        "`relu` of `Uneven` runs 2 times, with 3 and 8 channels",
        MAP,
    )
    bare = nn.Sequential(nn.ReLU())
    assert refusal(lambda: insert(bare, "simam", at="0", channels=3)) == (
        "`0` of `Sequential` has no convolution that would tell its spatial dimensions",
        "give an input instead of channels, as in `example=torch.zeros(1, 3, 64, 64)`",
    )


def test_channels_that_come_last_are_noticed() -> None:
    model = swin_t().eval()
    assert refusal(lambda: insert(model, "simam", at="features.1", example=torch.zeros(1, 3, 64, 64))) == (
        "`features.1` of `SwinTransformer` gives `(1, 16, 16, 96)`, with the channels last",
        f"{MAP}; if it is one, give `channels=16` in place of the example",
    )
    insert(model, "eca", at="permute", example=torch.zeros(1, 3, 64, 64))
    assert attnzoo.sites(model)[0].channels == 768


def test_a_volumes_channels_that_come_last_are_noticed_too() -> None:
    class Last(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, :, ::4, ::4, ::4].permute(0, 2, 3, 4, 1)

    model = nn.Sequential(nn.Conv3d(1, 48, 1), Last())
    assert refusal(lambda: insert(model, "simam", at="1", example=torch.zeros(1, 1, 96, 96, 96))) == (
        "`1` of `Sequential` gives `(1, 24, 24, 24, 48)`, with the channels last",
        f"{MAP}; if it is one, give `channels=24` in place of the example",
    )


def test_channels_that_only_look_as_if_they_came_last_pass() -> None:
    image = torch.zeros(1, 1, 64, 64)
    model = nn.Sequential(nn.Conv2d(1, 32, 3, stride=(2, 1), padding=1), nn.ReLU())
    insert(model, "simam", at="0", example=image)  # (1, 32, 32, 64), but made by a convolution of this width
    assert attnzoo.sites(model)[0].strides == (2, 1)
    message, hint = refusal(lambda: insert(model, "simam", at="1", example=image))
    assert message == "`1` of `Sequential` gives `(1, 32, 32, 64)`, with the channels last"
    assert hint == f"{MAP}; if it is one, give `channels=32` in place of the example"
    assert insert(model, "simam", at="1", channels=32)(image).shape == (1, 32, 32, 64)


def test_an_example_may_have_no_samples() -> None:
    model = insert(net(), "simam", at="layer2", example=torch.zeros(0, 3, 32, 48))
    assert (attnzoo.sites(model)[0].channels, attnzoo.sites(model)[0].stride) == (32, 4)


# what happens to the network before and after


def test_a_lazy_layer_is_furnished_once_it_has_run() -> None:
    def lazy() -> nn.Module:
        return nn.Sequential(nn.LazyConv2d(8, 3), nn.Conv2d(8, 2, 1))

    assert refusal(lambda: insert(lazy(), "se:reduction=2", at="0", channels=8))[0] == (
        "`0` (`LazyConv2d`) is lazy, and becomes another class when it first runs"
    )
    model = insert(lazy(), "se:reduction=2", at="0", example=IMAGE)
    model(IMAGE).sum().backward()
    assert all(weight.grad is not None for weight in model[0].after.parameters())


def test_attention_that_nothing_runs_any_more_is_told_and_not_reported() -> None:
    model = insert(resnet18(), "se", at="layer?.*.bn2", example=IMAGE)
    model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    expected = (
        "`layer1.0.bn2` (`SyncBatchNorm`) was replaced after it was furnished, and runs no attention any more",
        "convert or replace modules first, then furnish the model",
    )
    for ask in (attnzoo.sites, insertions, lambda model: attnzoo.maps(model).__enter__()):
        assert refusal(lambda ask=ask: ask(model)) == expected
    for path in ("layer1.0.bn2", "layer2"):
        assert refusal(lambda path=path: insert(model, "se", at=path, channels=64)) == expected
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(resnet18()).eval()
    before = converted(IMAGE + 1)
    assert not torch.equal(insert(converted, "se", at="layer1.0.bn2", channels=64)(IMAGE + 1), before)


@pytest.mark.filterwarnings("ignore:.torch.jit")  # torch deprecates it, and it still comes
def test_a_scripted_part_is_refused_and_stands_in_nobodys_way() -> None:
    model = resnet18().eval()
    model.layer1 = torch.jit.trace(model.layer1, torch.zeros(1, 64, 8, 12))
    for width in ({"example": IMAGE}, {"channels": 64}):
        message, hint = refusal(lambda width=width: insert(model, "se", at="layer1", **width))
        assert message.endswith(" is a wrapper around another module")
        assert hint is not None
        assert hint.startswith("furnish the module first, then wrap it")
    before = model(IMAGE + 1)
    assert not torch.equal(insert(model, "se", at="layer2", example=IMAGE)(IMAGE + 1), before)
    assert [record["site"] for record in insertions(model)] == ["layer2"]


def test_a_refusal_half_way_leaves_the_model_as_it_was() -> None:
    class Own(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x)

    model = fcn_resnet50(weights=None, weights_backbone=None, num_classes=2)
    model.backbone["layer3"] = Own(*model.backbone["layer3"])
    before = [(path, type(module)) for path, module in model.named_modules()]
    assert refusal(lambda: insert(model, "se@encoder.decoder"))[0] == (
        "`backbone.layer3` (`Own`) runs its children in a way of its own, and has no place for one more"
    )
    assert [(path, type(module)) for path, module in model.named_modules()] == before
    assert insertions(insert(model, "se@bottleneck"))[0]["site"] == "bottleneck"


def test_what_a_librarys_own_saving_would_lose_is_refused_wherever_it_sits(tmp_path: Path) -> None:
    model = insert(unet(), "se", at="encoder.layer1", channels=64)
    around = nn.ModuleDict({"net": unet(), "head": nn.Conv2d(2, 2, 1)})
    insert(around, "se", at="net.encoder.layer1", channels=64)
    for furnished in (model, copy.deepcopy(model), around["net"]):
        assert refusal(lambda furnished=furnished: furnished.save_pretrained(tmp_path)) == (
            "`save_pretrained` would lose the attention of this `Unet`",
            "save its state_dict(); to load it, build the host anew, furnish it by attnzoo.insert, and load_state_dict",
        )
    beside = nn.ModuleDict({"net": unet(), "head": nn.Conv2d(2, 2, 1)})
    insert(beside, "simam", at="head", channels=2)["net"].save_pretrained(tmp_path)


def test_other_modules_can_follow_but_not_the_same_and_none_within_a_slot() -> None:
    model = insert(net(), "simam", at="layer1", example=IMAGE)
    assert refusal(lambda: insert(model, "eca", at="layer?", example=IMAGE)) == (
        "`layer1` of `Net` holds `simam` already",
        "build the host anew, and furnish it once: `+` chains blocks, `/` separates sites",
    )
    for path in ("layer1.after", "layer1.after.blocks.0", "layer1.after.*"):
        message, hint = refusal(lambda path=path: insert(model, "eca", at=path, example=IMAGE))
        assert message.endswith(" of `Net` belongs to a slot")
        assert hint == "name a module of the network itself"
    insert(model, "eca", at="layer2", example=IMAGE)
    insert(model, "eca", at="layer1.*", example=IMAGE)  # the slot is one of its children, and is not meant
    assert [record["site"] for record in insertions(model)] == ["layer1.0", "layer1.1", "layer1", "layer2"]
    assert refusal(lambda: insert(UNet(widths=(4, 8)), "eca", at="skips.0", channels=4))[0] == (
        "`skips.0` of `UNet` belongs to a slot"
    )


def test_what_is_no_plain_network_is_refused() -> None:
    assert refusal(lambda: insert(nn.DataParallel(net()), "eca", at="module.stem", channels=8)) == (
        "a model inside `DataParallel` cannot be furnished",
        "furnish the model first, then wrap it",
    )
    model = net()
    model.compile()
    assert refusal(lambda: insert(model, "eca", at="stem", channels=8))[0] == "this `Net` is compiled already"
    assert refusal(lambda: insert("resnet18", "eca", at="stem", channels=8))[0] == (  # type: ignore[type-var]
        "a host is a `torch.nn.Module`, not a `str`"
    )


def test_a_host_says_which_word_or_path_was_meant() -> None:
    assert refusal(lambda: insert(UNet(widths=(4, 8)), "eca", at="skpi", channels=4)) == (
        "`UNet` has no module `skpi`",
        "did you mean `skip`?",
    )


# copies, files, compilers


@pytest.fixture
def furnished() -> nn.Module:
    model = insert(net(), "ema:groups=auto+se:reduction=2", at="layer?", example=IMAGE, residual="zero", seed=0)
    insert(model, "cbam:reduction=2", at="stem", example=IMAGE, seed=0)
    for module in model.modules():
        if getattr(module, "gamma", None) is not None and isinstance(module, attnzoo.Slot):
            module.gamma.data.fill_(0.5)
    return model.eval()


def test_keys_of_the_network_stay_and_weights_travel(furnished: nn.Module) -> None:
    keys = net().state_dict().keys()
    assert keys < furnished.state_dict().keys()
    other = insert(net(), "ema:groups=auto+se:reduction=2", at="layer?", example=IMAGE, residual="zero", seed=1)
    insert(other, "cbam:reduction=2", at="stem", example=IMAGE, seed=1)
    other.load_state_dict(furnished.state_dict())
    assert torch.equal(other.eval()(IMAGE + 1), furnished(IMAGE + 1))


def test_copies_and_pickles_are_furnished_too(furnished: nn.Module, tmp_path: Path) -> None:
    torch.save(furnished, tmp_path / "model.pt")
    x = torch.randn(2, 3, 16, 16)
    for twin in (
        copy.deepcopy(furnished),
        pickle.loads(pickle.dumps(furnished)),
        torch.load(tmp_path / "model.pt", weights_only=False),
    ):
        assert type(twin.stem) is type(furnished.stem)
        assert isinstance(twin.stem, Stage)
        assert insertions(twin) == insertions(furnished)
        assert attnzoo.sites(twin) == attnzoo.sites(furnished)
        assert torch.equal(twin(x), furnished(x))


def test_sites_are_told_as_seen_from_where_one_asks(furnished: nn.Module) -> None:
    whole = nn.ModuleDict({"net": furnished})
    assert [site.name for site in attnzoo.sites(whole)] == ["net.stem", "net.layer1", "net.layer2"]


@torch.no_grad()
def test_compiles_and_exports(furnished: nn.Module) -> None:
    x = torch.randn(1, 3, 16, 24)
    compiled = torch.compile(furnished, fullgraph=True, backend="aot_eager", dynamic=False)
    torch.testing.assert_close(compiled(x), furnished(x))
    sizes = {2: 4 * torch.export.Dim("h", min=2, max=16), 3: 4 * torch.export.Dim("w", min=2, max=16)}
    program = torch.export.export(furnished, (x,), dynamic_shapes={"x": sizes})
    other = torch.randn(1, 3, 32, 20)
    torch.testing.assert_close(program.module()(other), furnished(other))


def test_learns_under_ddp(tmp_path: Path, furnished: nn.Module) -> None:
    twin = copy.deepcopy(furnished)
    x = torch.randn(2, 3, 16, 16)
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        wrapped = nn.parallel.DistributedDataParallel(furnished, find_unused_parameters=True)
        wrapped(x).square().sum().backward()
    finally:
        torch.distributed.destroy_process_group()
    twin(x).square().sum().backward()
    for (name, one), other in zip(furnished.named_parameters(), twin.parameters(), strict=True):
        assert name.startswith("unused") or torch.equal(one.grad, other.grad), name
