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
        kind: ClassVar[str] = "add"

        def __init__(self, channels: int) -> None:
            super().__init__()

        def forward(self, x: Tensor) -> Tensor:
            return x


def net(**options: Any) -> UNet:
    return UNet(classes=2, widths=WIDTHS, **options)


def refusal(call: Callable[[], Any]) -> tuple[str, str | None]:
    with pytest.raises(AttnzooError) as caught:
        call()
    return caught.value.message, caught.value.hint


def spellings(model: nn.Module) -> dict[str, str]:
    """Site → what sits there."""
    return {
        site.name: "+".join(record["block"] for record in insertions(model) if record["site"] == site.name)
        for site in attnzoo.sites(model)
    }


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
        ("none", {"skip1": "", "skip2": "", "bottleneck": ""}),
        ("se", {"skip1": "se", "skip2": "se", "bottleneck": ""}),
        ("ema:groups=4+gate", {"skip1": "ema:groups=4+gate", "skip2": "ema:groups=4+gate", "bottleneck": ""}),
        ("se@skip2", {"skip1": "", "skip2": "se", "bottleneck": ""}),
        ("se@skip1.bottleneck", {"skip1": "se", "skip2": "", "bottleneck": "se"}),
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


# what is refused, and that it leaves no trace


@pytest.mark.parametrize(
    ("attention", "message", "hint"),
    [
        (
            "se@encoder1",
            "`UNet` has no site `encoder1`",
            "it has `skip`, `skip1`, `skip2` and `bottleneck`",
        ),
        ("se@skip3", "`UNet` has no site `skip3`", "it has `skip`, `skip1`, `skip2` and `bottleneck`"),
        (
            "gate@bottleneck",
            "`gate` listens to the decoder, and the bottleneck of UNet has none",
            "place it on the skips: `gate@skip`",
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
    assert spellings(model) == {"skip1": "", "skip2": "ema:groups=4+se", "bottleneck": ""}


# where the new blocks live


def test_blocks_share_dtype_and_mode_with_the_layers_beside_them() -> None:
    model = insert(net().double().eval(), "ema:groups=4+gate@skip/se@bottleneck")
    for site in attnzoo.sites(model):
        slot = model.get_submodule(site.path)
        assert {parameter.dtype for parameter in slot.parameters()} == {torch.float64}
        assert not any(block.training for block in slot.blocks)
    assert model(torch.randn(1, 3, 8, 8, dtype=torch.float64)).dtype == torch.float64
    assert all(block.training for block in insert(net(), "gate").skips[0].blocks)


def test_blocks_share_the_device_of_the_layers_beside_them() -> None:
    model = net()
    model.decoder[0].to("meta")
    insert(model, "se")
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
    starts = [weights(twins, f"{site.path}.blocks.{place}") for site in attnzoo.sites(twins) for place in (0, 1)]
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
