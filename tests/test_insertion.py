"""The whole story of `insert`, on attnzoo's own U-Net; smp's is in hosts/test_smp.py."""

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

import attnzoo
from attnzoo import UNet, insert, insertions, register, spec
from attnzoo.errors import AttnzooError

WIDTHS = (16, 32, 64)


@pytest.fixture
def plane_block(fresh: None) -> None:
    """A block for images only, registered for the time of a test."""

    @register("plane", paper="none", year=2026, reference="this test")
    class Plane(nn.Module):
        kind: ClassVar[str] = "mix"

        def __init__(self, channels: int) -> None:
            super().__init__()

        def forward(self, x: Tensor) -> Tensor:
            return x + self.added(x)

        def added(self, x: Tensor) -> Tensor:
            return torch.zeros_like(x)


def net(**options: Any) -> UNet:
    return UNet(classes=2, widths=WIDTHS, **options)


def refusal(call: Callable[[], Any]) -> tuple[str, str | None]:
    with pytest.raises(AttnzooError) as caught:
        call()
    return caught.value.message, caught.value.hint


def spellings(model: nn.Module) -> dict[str, str]:
    """Site → what sits there, where something does."""
    found: dict[str, list[str]] = {}
    for record in insertions(model):
        found.setdefault(record["site"], []).append(record["block"])
    return {site: "+".join(blocks) for site, blocks in found.items()}


def weights(model: nn.Module, path: str) -> list[Tensor]:
    return [parameter.detach() for parameter in model.get_submodule(path).parameters()]


def equal(first: list[Tensor], second: list[Tensor]) -> bool:
    return len(first) == len(second) > 0 and all(map(torch.equal, first, second))


# what goes where


def test_the_same_model_comes_back() -> None:
    model = net()
    assert insert(model, "se") is model


@pytest.mark.parametrize(
    ("attention", "expected"),
    [
        ("none", {}),
        ("se", {"skip1": "se", "skip2": "se"}),
        ("ema:groups=4+gate", {"skip1": "ema:groups=4+gate", "skip2": "ema:groups=4+gate"}),
        ("se@skip2", {"skip2": "se"}),
        ("se@skip1.bottleneck", {"skip1": "se", "bottleneck": "se"}),
        ("se@skip.bottleneck", {"skip1": "se", "skip2": "se", "bottleneck": "se"}),
        ("se@encoder2", {"encoder2": "se"}),
        ("se@encoder1.encoder2", {"encoder1": "se", "encoder2": "se"}),
        ("se@decoder/cbam@encoder1", {"encoder1": "cbam", "decoder1": "se", "decoder2": "se"}),
        ("gate@skip/cbam@bottleneck", {"skip1": "gate", "skip2": "gate", "bottleneck": "cbam"}),
    ],
)
def test_every_site_gets_its_chain(attention: str, expected: dict[str, str]) -> None:
    assert spellings(insert(net(), attention)) == expected
    assert spellings(insert(net(), spec.parse(attention))) == expected


def test_the_hosts_own_weights_stay_as_they_were() -> None:
    model = net()
    before = copy.deepcopy(model.state_dict())
    insert(model, "ema:groups=auto+gate@skip/se@bottleneck")
    after = model.state_dict()
    assert before.keys() < after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_none_changes_nothing() -> None:
    model = net()
    before = copy.deepcopy(model.state_dict())
    insert(model, "none")
    assert model.state_dict().keys() == before.keys()
    assert insertions(model) == ()


@pytest.mark.parametrize(
    ("keywords", "spelling"),
    [
        ({"attention": "ema", "groups": 4, "at": "skip.bottleneck"}, "ema:groups=4@skip.bottleneck"),
        ({"attention": "ema", "groups": "auto"}, "ema:groups=auto"),
        ({"attention": "ema:groups=4", "at": "bottleneck"}, "ema:groups=4@bottleneck"),
        ({"attention": "se@skip2", "reduction": 4}, "se:reduction=4@skip2"),
        ({"attention": "se+gate", "at": "skip1"}, "se+gate@skip1"),
        ({"attention": spec.parse("se"), "at": "skip1"}, "se@skip1"),
        ({"attention": "se", "at": "skip", "levels": (1, 2)}, "se@skip1.skip2"),
        ({"attention": "se", "levels": 2}, "se@skip2"),
        ({"attention": "se", "at": "encoder.bottleneck", "levels": [1]}, "se@encoder1.bottleneck"),
        (
            {"attention": "se", "at": "encoder.decoder", "levels": (1, 2), "reduction": 4},
            "se:reduction=4@encoder.decoder",
        ),
    ],
)
def test_keywords_are_sugar_for_the_spelling(keywords: dict[str, Any], spelling: str) -> None:
    sweet, spelt = insert(net(), **keywords, seed=0), insert(net(), spelling, seed=0)
    assert spellings(sweet) == spellings(spelt)
    for site in attnzoo.sites(spelt):
        assert all(map(torch.equal, weights(sweet, site.path), weights(spelt, site.path)))


def test_keywords_that_could_mean_several_things_are_refused() -> None:
    several = "keywords are for a single block: write options into the spelling, as in `ema:groups=8+gate`"
    both, neither = "`groups` could go to any block of `ema+gate`", "`none` has no block that could take `groups`"
    assert refusal(lambda: insert(net(), "ema+gate", groups=8)) == (both, several)
    assert refusal(lambda: insert(net(), "none", groups=8)) == (neither, several)
    assert refusal(lambda: insert(net(), "ema:groups=4", groups=8))[0] == "`ema` has the option `groups` twice"
    assert refusal(lambda: insert(net(), "se@skip1", at="skip2")) == (
        "`se@skip1` says where it sits, and at=`skip2` says it again",
        "leave one of them out",
    )
    assert refusal(lambda: insert(net(), "se@skip", at="bottleneck"))[0] == (
        "`se@skip` says where it sits, and at=`bottleneck` says it again"
    )


@pytest.mark.parametrize(
    ("keywords", "message", "hint"),
    [
        (
            {"attention": "se@skip", "levels": 1},
            "`se@skip` says where it sits, and levels=`1` says it again",
            "leave one of them out",
        ),
        (
            {"attention": "se", "at": "skip1", "levels": (2,)},
            "`skip1` names its level, and levels=(2,) names more",
            "leave one of them out",
        ),
        ({"attention": "se", "at": "bottleneck", "levels": 1}, "the `bottleneck` has no levels", "leave `levels` out"),
        (
            {"attention": "se", "at": "skip", "levels": (0, 1)},
            "levels=(0, 1) are no levels of `skip`",
            "give whole numbers, as in `levels=(1, 2)`",
        ),
        (
            {"attention": "se", "at": "skip", "levels": ()},
            "levels=() are no levels of `skip`",
            "give whole numbers, as in `levels=(1, 2)`",
        ),
        (
            {"attention": "se", "at": "decoder.0", "levels": 1, "channels": 16},
            "levels are of sites, and `decoder.0` is the path of a module",
            "leave `levels` out",
        ),
        (
            {"attention": "se", "levels": 3},
            "`UNet` has no site `skip3`",
            "it has `encoder`, `encoder1`, `encoder2`, `skip`, `skip1`, `skip2`, `bottleneck`, `decoder`, `decoder1` "
            "and `decoder2`",
        ),
        (
            {"attention": "se", "levels": 1.5},
            "levels=[1.5] are no levels of `skip`",
            "give whole numbers, as in `levels=(1, 2)`",
        ),
        (
            {"attention": "se", "residual": "one"},
            "residual='one' is unknown",
            "possible: `none` or `zero`",
        ),
        (
            {"attention": "se", "channels": 16},
            "the sites of `UNet` have known widths",
            "leave `channels` and `example` out",
        ),
        ({"attention": "se", "at": ""}, "`se@` ends where a site should come", None),
    ],
)
def test_keywords_that_say_nothing_possible_are_refused(
    keywords: dict[str, Any], message: str, hint: str | None
) -> None:
    model = net()
    said, advice = refusal(lambda: insert(model, **keywords))
    assert said == message
    assert hint is None or advice == hint
    assert insertions(model) == ()


@pytest.mark.parametrize("seed", ["3", 3.0, True])
def test_seeds_are_whole_numbers(seed: Any) -> None:
    assert refusal(lambda: insert(net(), "se", seed=seed)) == (
        f"seed={seed!r} is no whole number",
        "give one, such as seed=0, or none",
    )


def test_attention_that_is_no_spelling_is_refused() -> None:
    assert refusal(lambda: insert(net(), ["ema", "gate"])) == (  # type: ignore[arg-type]
        "attention is spelt, not given as a `list`",
        "write it as in `ema:groups=8+gate`",
    )


def test_places_are_one_word() -> None:
    assert refusal(lambda: insert(net(), "se", at=["skip1", "skip2"])) == (  # type: ignore[arg-type]
        "at=['skip1', 'skip2'] is a `list`, and one word is wanted",
        'sites are joined by dots, `at="skip1.bottleneck"`, and a pattern means several modules, `at="layer[12]"`',
    )


# what is refused, and that it leaves no trace


@pytest.mark.parametrize(
    ("attention", "message", "hint"),
    [
        (
            "se@encoder3",
            "`UNet` has no site `encoder3`",
            "it has `encoder`, `encoder1`, `encoder2`, `skip`, `skip1`, `skip2`, `bottleneck`, `decoder`, `decoder1`",
        ),
        ("se@skip3", "`UNet` has no site `skip3`", "it has `encoder`, `encoder1`"),
        (
            "gate@encoder1",
            "`gate` listens to the decoder, and the encoder level 1 of UNet has none",
            "place it on the skips: `gate@skip`",
        ),
        (
            "gate@decoder2",
            "`gate` listens to the decoder, and the decoder level 2 of UNet is the decoder",
            "place it on the skips: `gate@skip`",
        ),
        (
            "gate@bottleneck",
            "`gate` listens to the decoder, and the bottleneck of UNet has none",
            "place it on the skips: `gate@skip`",
        ),
        (
            "frozen:block=[gate]@bottleneck",
            "`frozen:block=[gate]` listens to the decoder, and the bottleneck of UNet has none",
            "place it on the skips: `frozen:block=[gate]@skip`",
        ),
        ("cbma", "`cbma` is no block", "did you mean `cbam`?"),
        ("se+ema:grops=4", "`ema` has no option `grops`", "did you mean `groups`?"),
        (
            "se+ema:groups=3",
            "`ema` cannot split 16 channels into groups=3 (skip level 1 of UNet)",
            "16 divides into 1, 2, 4, 8 or 16 groups",
        ),
        (
            "ema:groups=16@skip1/ema:groups=20@skip2",
            "`ema` cannot split 32 channels into groups=20 (skip level 2 of UNet)",
            "32 divides into 1, 2, 4, 8, 16 or 32 groups",
        ),
        (
            "se@skip/ema:groups=3@bottleneck",
            "`ema` cannot split 64 channels into groups=3 (bottleneck of UNet)",
            "64 divides into 1, 2, 4, 8, 16, 32 or 64 groups",
        ),
    ],
)
def test_a_refusal_names_block_and_site_and_leaves_the_model_untouched(attention: str, message: str, hint: str) -> None:
    model = net()
    before = model.state_dict().keys()
    said, advice = refusal(lambda: insert(model, attention))
    assert said == message
    assert advice is not None
    assert advice.startswith(hint)
    assert model.state_dict().keys() == before
    assert insertions(model) == ()
    insert(model, "se")


def test_a_block_for_images_is_refused_in_volumes(plane_block: None) -> None:
    message, _ = refusal(lambda: insert(net(dims=3), "plane"))
    assert message.startswith("`plane` ")
    assert message.endswith(" 3 spatial dimensions (skip level 1 of UNet)")
    assert spellings(insert(net(), "plane"))["skip1"] == "plane"


@pytest.mark.parametrize("second", ["gate", "se@bottleneck", "none"])
def test_a_second_insertion_is_refused(second: str) -> None:
    model = insert(insert(net(), "none"), "ema:groups=4+se@skip2")
    assert refusal(lambda: insert(model, second)) == (
        "`skip2` of `UNet` holds `ema:groups=4+se` already",
        "build the host anew, and furnish it once: `+` chains blocks, `/` separates sites",
    )
    assert spellings(model) == {"skip2": "ema:groups=4+se"}


# where the new blocks live


def test_blocks_share_dtype_and_mode_with_the_layers_beside_them() -> None:
    model = insert(net().double().eval(), "ema:groups=4+gate@skip/se@bottleneck", residual="zero")
    for site in [site for site in attnzoo.sites(model) if site.family in ("skip", "bottleneck")]:
        slot = model.get_submodule(site.path)
        assert {parameter.dtype for parameter in slot.parameters()} == {torch.float64}
        assert not any(block.training for block in slot.blocks)
    assert model(torch.randn(1, 3, 8, 8, dtype=torch.float64)).dtype == torch.float64
    assert all(block.training for block in insert(net(), "gate").skips[0].blocks)


def test_blocks_share_the_device_of_the_layers_beside_them() -> None:
    model = net()
    model.decoder[0].to("meta")
    insert(model, "se", residual="zero")
    devices = [{parameter.device.type for parameter in slot.parameters()} for slot in model.skips]
    assert devices == [{"meta"}, {"cpu"}]


# where the weights start from


def test_a_blocks_start_depends_on_seed_site_place_and_name_alone() -> None:
    path = "skips.0.blocks.0"
    start = weights(insert(net(), "ema:groups=4", seed=3), path)
    assert equal(start, weights(insert(net(), "ema:groups=4", seed=3), path))
    assert equal(start, weights(insert(net(), "ema:groups=4+gate@skip/se@bottleneck", seed=3), path))
    assert equal(start, weights(insert(net(), "ema:groups=4@skip1", seed=3), path))
    assert not equal(start, weights(insert(net(), "ema:groups=4", seed=4), path))
    twins = insert(UNet(classes=2, widths=(16, 16, 16)), "ema:groups=4+ema:groups=4@skip.bottleneck", seed=3)
    paths = ("skips.0", "skips.1", "bottleneck_slot")
    starts = [weights(twins, f"{path}.blocks.{place}") for path in paths for place in (0, 1)]
    assert not any(equal(one, other) for index, one in enumerate(starts) for other in starts[:index])


def test_weights_do_not_depend_on_the_default_device() -> None:
    expected = weights(insert(net(), "se", seed=0), "skips.0")
    model = net()
    with torch.device("meta"):
        insert(model, "se", seed=0)
    assert equal(expected, weights(model, "skips.0"))


@pytest.mark.parametrize("attention", ["none", "se", "ema:groups=4+gate@skip/se@bottleneck"])
def test_without_a_seed_the_global_generator_gives_one_number(attention: str) -> None:
    model = net()
    torch.manual_seed(5)
    torch.randint(2**63 - 1, ())
    expected = torch.rand(3)
    torch.manual_seed(5)
    insert(model, attention)
    assert torch.equal(torch.rand(3), expected)


def test_without_a_seed_the_global_generator_decides() -> None:
    starts = []
    for seed in (5, 5, 6):
        model = net()
        torch.manual_seed(seed)
        starts.append(weights(insert(model, "se"), "skips.0"))
    assert equal(starts[0], starts[1])
    assert not equal(starts[0], starts[2])


def test_with_a_seed_the_global_generator_is_left_alone() -> None:
    model = net()
    before = torch.get_rng_state()
    insert(model, "ema:groups=4+gate", seed=0)
    assert torch.equal(torch.get_rng_state(), before)


# what is told afterwards


def test_insertions_are_recorded_ready_for_json() -> None:
    model = insert(net(), "ema:groups=auto+gate@skip1/se@bottleneck")
    records = insertions(model)
    assert json.loads(json.dumps(records)) == list(records)
    assert [(record["site"], record["block"], record["channels"]) for record in records] == [
        ("skip1", "ema:groups=auto", 16),
        ("skip1", "gate", 16),
        ("bottleneck", "se", 64),
    ]
    assert records[0]["options"] == {"groups": 16}
    assert records[0]["parameters"] == 10 + 4  # one channel a group
    assert [sum(p.numel() for p in block.parameters()) for block in model.skips[0].blocks] == [
        record["parameters"] for record in records[:2]
    ]
    assert records[2]["options"]["reduction"] == 16
    assert {record["residual"] for record in records} == {"none"}


def test_records_survive_copies_and_pickles() -> None:
    model = insert(net(), "ema:groups=4+gate")
    assert insertions(copy.deepcopy(model)) == insertions(model) == insertions(pickle.loads(pickle.dumps(model)))


def test_weights_travel_between_models_furnished_alike() -> None:
    model = insert(net(), "ema:groups=4+gate").eval()
    other = insert(net(), "ema:groups=4+gate").eval()
    x = torch.randn(1, 3, 9, 8)
    assert not torch.equal(model(x), other(x))
    other.load_state_dict(model.state_dict())
    assert torch.equal(model(x), other(x))


# from nothing: residual="zero"


def with_statistics(model: nn.Module, seed: int = 0) -> nn.Module:
    """Batch norms as pretraining leaves them, in evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(torch.randn(module.num_features, generator=generator))
            module.running_var.copy_(torch.rand(module.num_features, generator=generator) + 0.5)
            module.weight.data.copy_(torch.rand(module.num_features, generator=generator) + 0.5)
    return model.eval()


EVERYWHERE = "ema:groups=auto+gate@skip/cbam:reduction=4@encoder/se:reduction=4@bottleneck.decoder"


def smp_unet() -> nn.Module:
    import segmentation_models_pytorch as smp

    return smp.Unet("tu-test_resnet", encoder_weights=None, decoder_channels=(48, 32, 24, 16, 16), classes=2)


@pytest.mark.parametrize("build", [net, smp_unet])
@pytest.mark.parametrize("attention", [EVERYWHERE, "gate", "se:reduction=4@bottleneck"])
def test_zero_leaves_a_pretrained_networks_outputs_as_they_were_to_the_bit(
    build: Callable[[], nn.Module], attention: str
) -> None:
    model = with_statistics(build())
    x = torch.randn(2, 3, 64, 64)
    before = model(x)
    plain = insert(copy.deepcopy(model), attention, seed=0)
    insert(model, attention, residual="zero", seed=0)
    assert torch.equal(model(x), before)
    assert not torch.equal(plain(x), before)


def test_zero_adds_one_number_a_site_that_learns_at_once() -> None:
    model = insert(net(), "ema:groups=4+gate@skip/se@bottleneck", residual="zero")
    gammas = {name: parameter for name, parameter in model.named_parameters() if name.endswith("gamma")}
    assert list(gammas) == ["bottleneck_slot.gamma", "skips.0.gamma", "skips.1.gamma"]
    x, target = torch.randn(2, 3, 8, 8), torch.randint(2, (2, 8, 8))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    blocks = [parameter for slot in model.skips for parameter in slot.blocks.parameters()]
    for step in range(2):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), target).backward()
        assert all(gamma.grad.abs().item() > 0 for gamma in gammas.values())
        assert any(parameter.grad.any() for parameter in blocks) is (step == 1)  # theirs is times γ
        optimizer.step()


def test_zero_is_told_and_its_gamma_is_no_blocks_parameter() -> None:
    model = insert(net(), "se", residual="zero", seed=0)
    plain = insertions(insert(net(), "se", seed=0))
    assert insertions(model) == tuple(record | {"residual": "zero"} for record in plain)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert insertions(twin) == insertions(model)
    other = insert(net(), "se", residual="zero", seed=1)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.eval()(x := torch.randn(1, 3, 8, 8)), model.eval()(x))


def test_zero_begins_alike_under_autocast() -> None:
    model, x = with_statistics(net()), torch.randn(1, 3, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        before = model(x)
        after = insert(model, EVERYWHERE, residual="zero")(x)
    assert after.dtype == before.dtype
    assert torch.equal(after, before)


@torch.no_grad()
def test_zero_compiles_and_exports() -> None:
    model, x = insert(net(), "ema:groups=4+gate", residual="zero", seed=0).eval(), torch.randn(1, 3, 16, 16)
    for slot in model.skips:
        slot.gamma.data.fill_(0.5)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager", dynamic=False)
    torch.testing.assert_close(compiled(x), model(x))
    torch.testing.assert_close(torch.export.export(model, (x,)).module()(x), model(x))
