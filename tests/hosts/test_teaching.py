"""A network of one's own whose sites attnzoo is taught."""

import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

import attnzoo
from attnzoo import UNet, hosts, insert, insertions, site, teach
from attnzoo.errors import AttnzooError
from attnzoo.hosts import Site


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    before = dict(hosts.TAUGHT)
    yield
    hosts.TAUGHT.clear()
    hosts.TAUGHT.update(before)


class Net(nn.Module):
    """One skip with a slot of its own; the other places are behind modules."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.deep = nn.Sequential(nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU())
        self.skip = attnzoo.Slot()
        self.up = nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.head = nn.Conv2d(16, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        fine = self.stem(x)
        coarse = self.deep(fine)
        up = self.up(coarse)
        return self.head(torch.cat([self.skip(fine, upsampled=up, coarse=coarse), up], 1))


def told(net: Net) -> list[Site]:
    return [
        site("decoder1", "up", 8, stride=1),
        site("bottleneck", "deep", 16, stride=2),
        site("skip1", "skip", 8, stride=1, gates={"upsampled": 8, "coarse": 16}),
        site("encoder1", "stem", net.stem.out_channels, stride=1),
    ]


def refusal(call: Callable[[], Any]) -> tuple[str, str | None]:
    with pytest.raises(AttnzooError) as caught:
        call()
    return caught.value.message, caught.value.hint


def taught(*sites: Any) -> Net:
    teach(Net)(lambda net: sites)
    return Net()


@pytest.mark.parametrize("network", [Net, f"{Net.__module__}.Net"])
def test_a_taught_network_is_a_host(network: Any) -> None:
    assert teach(network)(told) is told
    model = Net()
    assert attnzoo.sites(model) == (
        Site("encoder1", "stem.slot", "stem", 1, 8, {}, 1, 2),
        Site("skip1", "skip", "", 1, 8, {"upsampled": 8, "coarse": 16}, 1, 2),
        Site("bottleneck", "deep.slot", "deep", 2, 16, {}, 2, 2),
        Site("decoder1", "up.slot", "up", 1, 8, {}, 1, 2),
    )
    assert not any(key for key in model.state_dict() if "slot" in key)
    insert(model, "gate+grid_gate@skip/se:reduction=2@encoder.bottleneck.decoder1", seed=0)
    assert [(record["site"], record["block"]) for record in insertions(model)] == [
        ("encoder1", "se:reduction=2"),
        ("skip1", "gate"),
        ("skip1", "grid_gate"),
        ("bottleneck", "se:reduction=2"),
        ("decoder1", "se:reduction=2"),
    ]
    with attnzoo.maps(model.eval()) as shown:
        model(x := torch.randn(2, 3, 8, 8))
    assert len(shown) == 5
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(twin(x), model(x))
        assert insertions(twin) == insertions(model)
    torch.testing.assert_close(torch.compile(model, fullgraph=True, backend="aot_eager")(x), model(x))


def test_derived_classes_are_hosts_and_may_be_taught_otherwise() -> None:
    class Mine(Net):
        pass

    teach(Net)(told)
    assert len(attnzoo.sites(Mine())) == 4
    teach(Mine)(lambda net: [site("bottleneck", "deep", 16)])
    assert [one.name for one in attnzoo.sites(Mine())] == ["bottleneck"]
    assert len(attnzoo.sites(Net())) == 4
    teach(Mine)(lambda net: [site("encoder1", "stem", 8)])
    assert [one.name for one in attnzoo.sites(Mine())] == ["encoder1"]


def test_a_slot_lives_where_the_nearest_weights_around_it_do() -> None:
    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Net().double()
            self.other = nn.Conv2d(1, 1, 1)

    teach(Outer)(lambda net: [site("skip1", "inner.skip", 8)])
    model = insert(Outer(), "se:reduction=2")
    assert attnzoo.sites(model)[0].beside == "inner"
    assert next(model.inner.skip.parameters()).dtype == torch.float64


def test_a_path_may_be_a_modules_second_name() -> None:
    class Twice(Net):
        def __init__(self) -> None:
            super().__init__()
            self.parts = nn.ModuleList([self.stem])

    teach(Twice)(lambda net: [site("encoder1", "parts.0", 8)])
    model = Twice().eval()
    before = model(x := torch.randn(1, 3, 8, 8))
    assert not torch.equal(insert(model, "se:reduction=2@encoder")(x), before)
    assert [record["site"] for record in insertions(model)] == ["encoder1"]


def test_a_site_within_a_furnished_network_gets_a_slot_of_its_own() -> None:
    class Around(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = insert(smp.Unet("tu-test_resnet", encoder_weights=None), "se:reduction=2@decoder1")

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x)

    teach(Around)(lambda net: [site("decoder1", "net.decoder.blocks.4", 16)])
    model = Around().eval()
    before = model(x := torch.randn(1, 3, 64, 64))
    assert not torch.equal(insert(model, "se:reduction=2@decoder1")(x), before)
    assert [record["site"] for record in insertions(model)] == ["decoder1"]


def test_a_module_that_cannot_be_furnished_now_does_not_hide_the_other_sites() -> None:
    teach(Net)(told)
    model = Net()
    forward = model.stem.forward
    model.stem.forward = lambda x: forward(x)
    assert len(attnzoo.sites(model)) == 4
    assert refusal(lambda: insert(model, "se:reduction=2@decoder.encoder"))[0] == (
        "`stem` (`Conv2d`) was given another forward than that of its class"
    )
    assert insertions(model) == ()
    assert len(insertions(insert(model, "se:reduction=2@decoder"))) == 1


def test_what_fails_in_the_teachers_own_function_is_left_to_them() -> None:
    teach(Net)(lambda net: [site("encoder1", net.nothing, 8)])
    with pytest.raises(AttributeError, match="nothing"):
        attnzoo.sites(Net())


# what is refused


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        ({"name": "skip"}, "`skip` is every level, and a site is one", "name the finest `skip1`"),
        (
            {"name": "neck"},
            "`neck` is no site",
            "did you mean `bottleneck`?",
        ),
        ({"channels": 0}, "`skip1` cannot have channels=0", "a width is a whole number from 1 up"),
        ({"channels": 8.0}, "`skip1` cannot have channels=8.0", "a width is a whole number from 1 up"),
        (
            {"gates": {"coarse": None}},
            "`skip1` cannot have gates['coarse']=None",
            "a width is a whole number from 1 up",
        ),
        ({"gates": {"up": 8}}, "`skip1` cannot offer the signal `up`", "a slot hears `upsampled` or `coarse`"),
        ({"dims": 1}, "`skip1` cannot have dims=1", "dims is 2 for images and 3 for volumes"),
    ],
)
def test_impossible_sites_are_refused(arguments: dict[str, Any], message: str, hint: str) -> None:
    assert refusal(lambda: site(**{"name": "skip1", "path": "skip", "channels": 8} | arguments)) == (message, hint)


@pytest.mark.parametrize("network", ["Net", 3, int])
def test_what_is_no_network_cannot_be_taught(network: Any) -> None:
    assert refusal(lambda: teach(network)) == (
        f"`{network}` is no network that could have sites",
        "give a class derived from `torch.nn.Module`, or its full name, `my_package.my_module.MyNet`",
    )


def test_what_attnzoo_knows_is_not_taught_again() -> None:
    assert refusal(lambda: teach(UNet)) == (
        "attnzoo knows the sites of `attnzoo.hosts.unet.UNet` already",
        "teach it a class derived from this one",
    )


def test_what_was_taught_wrongly_is_told_when_the_network_is_looked_at() -> None:
    assert refusal(lambda: attnzoo.sites(taught(site("skip1", "skp", 8)))) == (
        "the skip level 1 of `Net` has no module `skp`",
        "did you mean `skip`?",
    )
    assert refusal(lambda: attnzoo.sites(taught(site("encoder1", "", 8))))[0] == (
        "the encoder level 1 of `Net` has no module ``"
    )
    assert refusal(lambda: attnzoo.sites(taught(site("skip1", "skip", 8), site("skip1", "stem", 8)))) == (
        "`Net` has the site `skip1` twice",
        "number the levels",
    )
    assert refusal(lambda: attnzoo.sites(taught(site("skip1", "stem", 8, gates={"upsampled": 8})))) == (
        "the skip level 1 of `Net` is behind `stem`, where no decoder is heard",
        "for gates, put an `attnzoo.Slot()` into the network's forward, and give its path",
    )
    assert refusal(lambda: attnzoo.sites(taught(("skip1", "skip")))) == (
        "`Net` was taught a `tuple` as a site",
        'write it as in `attnzoo.site("skip1", "gate1", 64)`',
    )


def test_a_gate_takes_the_signal_that_is_offered() -> None:
    model = taught(site("skip1", "skip", 8, gates={"upsampled": 8}))
    assert refusal(lambda: insert(model, "grid_gate")) == (
        "`grid_gate` listens to `coarse`, and the skip level 1 of Net offers `upsampled`",
        "take a block that listens to `upsampled`",
    )
    assert insertions(insert(model, "gate"))[0]["site"] == "skip1"


@pytest.mark.parametrize(("given", "what"), [(None, "None"), (site("encoder1", "stem", 8), "Site")])
def test_a_function_that_gives_no_sites_is_refused(given: Any, what: str) -> None:
    teach(Net)(lambda net: given)
    assert refusal(lambda: attnzoo.sites(Net())) == (
        f"`Net` was taught by a function that gives `{what}` and no sites",
        "`yield` each site, or return a list of them",
    )


def test_a_forward_that_forgets_a_signal_is_told_which() -> None:
    class Forgetful(Net):
        def forward(self, x: Tensor) -> Tensor:
            fine = self.stem(x)
            return self.head(torch.cat([self.skip(fine), self.up(self.deep(fine))], 1))

    teach(Forgetful)(told)
    model = insert(Forgetful(), "gate@skip")
    assert refusal(lambda: model(torch.zeros(1, 3, 8, 8))) == (
        "`gate` listens to `upsampled`, and the network's forward gives its slot none",
        "call the slot with it, as in `self.slot(skip, upsampled=…)`",
    )
