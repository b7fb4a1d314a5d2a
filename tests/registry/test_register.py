"""One's own blocks: a class is a schema, or is refused."""

from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from attnzoo import registry

from .examples import ABOUT, Scale, refused


@pytest.mark.usefixtures("fresh")
def test_ones_own_block_registers_in_place_and_again() -> None:
    for _ in range(2):
        assert registry.register("scale", **ABOUT)(Scale) is Scale
    assert "scale" in registry.available()
    assert registry.entry("scale").dims == (2,)
    assert registry.build("scale", 3, by=3)(torch.ones(1, 3, 2, 2)).unique() == 3
    for wrong in ("3", [3]):
        assert refused(lambda wrong=wrong: Scale(3, by=wrong)) == (
            f"`scale` cannot take by={wrong!r}: possible is float",
            "the default is `by=2.0`",
        )
    assert refused(lambda: registry.build("scale", 3, dims=3)) == (
        "`scale` has no form for 3 spatial dimensions",
        "it has `2`",
    )


class Swallowing(Scale):
    def __init__(self, channels: int, **options: int) -> None:
        super().__init__(channels)


class Positional(Scale):
    def __init__(self, channels: int, by: float = 2.0) -> None:
        super().__init__(channels)


class Kindless(Scale):
    kind = "scales"


class Deaf(Scale):
    def __init__(self, channels: int, gate_channels: int) -> None:
        super().__init__(channels)


class Eavesdropping(Scale):
    listens = "coarse"


class Defaultless(Scale):
    def __init__(self, channels: int, *, by: float) -> None:
        super().__init__(channels)


class Typeless(Scale):
    def __init__(self, channels: int, *, by=2.0) -> None:
        super().__init__(channels)


class Unspellable(Scale):
    def __init__(self, channels: int, *, by: Tensor | None = None) -> None:
        super().__init__(channels)


class Contradicting(Scale):
    def __init__(self, channels: int, *, by: int = 2.5) -> None:
        super().__init__(channels)


class Infinite(Scale):
    def __init__(self, channels: int, *, by: float = float("inf")) -> None:
        super().__init__(channels)


class Bytes(Scale):
    def __init__(self, channels: int, *, by: Literal[3, b"x"] = 3) -> None:
        super().__init__(channels)


class Unknown(Scale):
    def __init__(self, channels: int, *, by: "Missing" = 2) -> None:  # noqa: F821
        super().__init__(channels)


class Boundless(Scale):
    def __init__(self, channels: int, *, dims: int = 2) -> None:
        super().__init__(channels)


class Weightless(nn.Module):
    kind = "scale"

    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x


class Addless(Weightless):
    kind = "add"


class Forwardless(nn.Module):
    kind = "mix"

    def __init__(self, channels: int) -> None:
        super().__init__()


class Plain:
    kind = "mix"

    def __init__(self, channels: int) -> None:
        self.channels = channels


FORWARD = "a block has `forward`, one that scales the skip `weights` too, and one that adds to it `added`"
CONSTRUCTOR = "it begins with (self, channels, *, …), or with (self, channels, gate_channels, *, …) if it is gated"
GATED = "a gated block takes gate_channels and listens to `upsampled` or `coarse`; any other does neither"
NAMED = "name every option, so that a typo is noticed"
OPTION = "an option is written `groups: int = 32`"


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(
    ("cls", "why", "hint"),
    [
        (Swallowing, "takes anything by `*` or `**` in its constructor", NAMED),
        (Positional, "takes (channels, by) by position in its constructor", CONSTRUCTOR),
        (Kindless, "has kind='scales'", "`kind` says what it does to the skip: `scale`, `add` or `mix`"),
        (Deaf, "has listens=None and takes (channels, gate_channels)", GATED),
        (Eavesdropping, "has listens='coarse' and takes (channels)", GATED),
        (Weightless, "has no weights", FORWARD),
        (Addless, "has no added", FORWARD),
        (Forwardless, "has no forward", FORWARD),
        (Plain, "is no torch.nn.Module", "derive it from torch.nn.Module"),
        (Defaultless, "has the option `by` without a default", OPTION),
        (Typeless, "has the option `by` without a type", OPTION),
        (Unspellable, "has the option `by` of a type that cannot be spelt", OPTION),
        (Contradicting, "has the option `by` with a default of another type", OPTION),
        (Infinite, "has the option `by` with a default that cannot be spelt", OPTION),
        (Bytes, "has the option `by` of a type that cannot be spelt", OPTION),
        (
            Unknown,
            "has a type that cannot be read: name 'Missing' is not defined",
            "import what the constructor's annotations name",
        ),
        (Boundless, "has `dims` of another type", "write `dims: Literal[2, 3] = 2`, or leave it out for 2"),
    ],
)
def test_classes_without_a_schema_are_refused(cls: type, why: str, hint: str) -> None:
    message = f"`own` cannot be registered: {cls.__name__} {why}"
    assert refused(lambda: registry.register("own", **ABOUT)(cls)) == (message, hint)
    assert "own" not in registry.available()


class Adding(Addless):
    """Adds, and says why it has no form for volumes."""

    only_2d = "its rows and columns are the paper's"

    def added(self, x: Tensor) -> Tensor:
        return x


@pytest.mark.usefixtures("fresh")
def test_a_block_that_adds_and_has_no_form_for_volumes_says_so() -> None:
    registry.register("adding", **ABOUT)(Adding)
    entry = registry.entry("adding")
    assert (entry.kind, entry.dims, entry.only_2d) == ("add", (2,), "its rows and columns are the paper's")
    assert refused(lambda: registry.build("adding", 3, dims=3)) == (
        "`adding` has no form for 3 spatial dimensions: its rows and columns are the paper's",
        "it has `2`",
    )
    assert registry.entry("ema").only_2d == ""


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("default", ["", " = 2", " = 3"])
@pytest.mark.parametrize("form", [(2,), (3,), (2, 3)])
def test_a_block_is_told_its_dims_whether_or_not_they_have_a_default(form: tuple[int, ...], default: str) -> None:
    names = {"Scale": Scale, "Literal": Literal, "__name__": __name__}
    source = f"""class Spatial(Scale):
    def __init__(self, channels: int, *, dims: Literal{[*form]}{default}) -> None:
        super().__init__(channels)
        self.dims = dims"""
    exec(source, names)
    registry.register("spatial", **ABOUT)(names["Spatial"])
    assert registry.entry("spatial").dims == form
    assert [registry.build("spatial", 3, dims=dims).dims for dims in form] == list(form)


@pytest.mark.usefixtures("fresh")
def test_blocks_are_listed_under_the_group_that_was_said_or_their_package() -> None:
    registry.register("said", **ABOUT, group="mine")(Adding)
    registry.register("unsaid", **ABOUT)(Adding)
    assert (registry.entry("said").group, registry.entry("unsaid").group) == ("mine", Adding.__module__.split(".")[0])
    groups = {name: registry.entry(name).group for name in ("ema", "identity", "frozen", "timm_se")}
    assert groups == {"ema": "attnzoo", "identity": "controls", "frozen": "controls", "timm_se": "timm"}


@pytest.mark.parametrize("name", ["my-block", "My", "none", "all", "", "8x", "a b"])
def test_names_that_cannot_be_spelt_are_refused(name: str) -> None:
    assert refused(lambda: registry.register(name, **ABOUT)(Scale)) == (
        f"`{name}` cannot name a block",
        "names are small letters, digits and `_`, not `none` or `all`",
    )


def test_taken_names_and_functions_are_refused() -> None:
    assert refused(lambda: registry.register("ema", **ABOUT)(Scale)) == (
        f"`ema` is attnzoo.blocks.ema.EMA; {Scale.__module__}.Scale cannot have the name",
        "choose another",
    )
    message, hint = refused(lambda: registry.register("own", **ABOUT)(refused))  # type: ignore[type-var]
    assert message.startswith("`own` is registered above `<function refused")
    assert hint == "put it above the class"
