"""Blocks that hold another: what they must declare, what they hear, and how a refusal within is told."""

from typing import ClassVar, Literal

import pytest
from torch import Tensor, nn

from attnzoo import registry, spec

from .examples import ABOUT, Scale, refused

EMA = spec.Chain((spec.Block("ema"),))


class Wrapper(nn.Module):
    """The least that a wrapper is."""

    kind: ClassVar[str] = "mix"
    wraps: ClassVar[str] = "inside"

    def __init__(
        self,
        channels: int,
        gate_channels: int | None = None,
        *,
        inside: spec.Chain = EMA,
        dims: Literal[2, 3] = 2,
    ) -> None:
        super().__init__()
        self.given = (channels, gate_channels, dims)
        self.inside = registry.build_within("wrapper", inside, channels, gate_channels, dims)

    def forward(self, x: Tensor) -> Tensor:
        return x


class Elsewhere(Wrapper):
    wraps: ClassVar[str] = "block"


class Untyped(Wrapper):
    def __init__(self, channels: int, gate_channels: int | None = None, *, inside: str = "ema") -> None:
        super().__init__(channels, gate_channels)


class Narrow(Wrapper):
    def __init__(self, channels: int, *, inside: spec.Chain = EMA) -> None:
        super().__init__(channels)


class Eager(Wrapper):
    listens: ClassVar[str] = "coarse"


@pytest.fixture
def wrapper(fresh: None) -> None:
    registry.register("wrapper", **ABOUT)(Wrapper)


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(
    ("cls", "why", "hint"),
    [
        (
            Elsewhere,
            "has wraps='block', which is no option for a block",
            "write the option as `block: spec.Chain = …`",
        ),
        (Untyped, "has wraps='inside', which is no option for a block", "write the option as `block: spec.Chain = …`"),
        (
            Narrow,
            "wraps a block and takes no gate_channels",
            "it begins with (self, channels, gate_channels=None, *, …)",
        ),
        (
            Eager,
            "has listens='coarse' and takes (channels, gate_channels)",
            "a gated block takes gate_channels and listens to `upsampled` or `coarse`; any other does neither",
        ),
    ],
)
def test_wrappers_without_a_schema_are_refused(cls: type, why: str, hint: str) -> None:
    assert refused(lambda: registry.register("own", **ABOUT)(cls)) == (
        f"`own` cannot be registered: {cls.__name__} {why}",
        hint,
    )


@pytest.mark.usefixtures("wrapper")
def test_a_wrapper_is_known_and_given_all_widths() -> None:
    entry = registry.entry("wrapper")
    assert (entry.wraps, entry.gated, entry.options["inside"].type) == ("inside", False, "[blocks]")
    assert registry.entry("ema").wraps is None
    assert registry.build("wrapper", 64, gate_channels=5, dims=3).given == (64, 5, 3)
    assert registry.build("wrapper", 64).given == (64, None, 2)


@pytest.mark.usefixtures("wrapper")
@pytest.mark.parametrize(
    ("spelling", "signal"),
    [
        ("ema", None),
        ("gate", "upsampled"),
        ("grid_gate", "coarse"),
        ("wrapper", None),
        ("wrapper:inside=[gate:inner=3]", "upsampled"),
        ("wrapper:inside=[wrapper:inside=[grid_gate]]", "coarse"),
        ("wrapper:inside=[se+grid_gate]", "coarse"),
        ("wrapper:inside=gate", None),
    ],
)
def test_the_signal_is_that_of_the_block_within(spelling: str, signal: str | None) -> None:
    assert registry.signal(spec.parse_block(spelling)) == signal


@pytest.mark.usefixtures("wrapper")
@pytest.mark.parametrize(
    ("spelling", "message", "hint"),
    [
        ("wrapper:inside=[emma]", "`wrapper` cannot be built, since `emma` is no block", "did you mean `ema`?"),
        (
            "wrapper:inside=[wrapper:inside=[emma]]",
            "`wrapper` cannot be built, since `wrapper` cannot be built, since `emma` is no block",
            "did you mean `ema`?",
        ),
        (
            "wrapper:inside=[ema:group=8]",
            "`wrapper` cannot be built, since `ema` has no option `group`",
            "did you mean `groups`?",
        ),
        (
            "wrapper:inside=[ema:groups=3]",
            "`wrapper` cannot be built, since `ema` cannot split 8 channels into groups=3",
            "8 divides into 1, 2, 4 or 8 groups, and `groups=auto` takes the largest up to 32",
        ),
        (
            "wrapper:inside=[gate]",
            "`wrapper` cannot be built, since `gate` hears the decoder, and gate_channels is not given",
            "give gate_channels, a width",
        ),
        (
            "wrapper:inside=[ema+gate:inner=2]",
            "`wrapper` cannot wrap `[ema+gate:inner=2]`, which is a chain",
            "chain the wrappers: `wrapper:inside=[ema]+wrapper:inside=[gate:inner=2]`",
        ),
        (
            "wrapper:inside=ema",
            "`wrapper` cannot take inside=ema: possible is [blocks]",
            "the default is `inside=[ema]`",
        ),
    ],
)
def test_a_refusal_within_names_both(spelling: str, message: str, hint: str) -> None:
    assert refused(lambda: registry.build_block(spec.parse_block(spelling), 8)) == (message, hint)


@pytest.mark.usefixtures("fresh")
def test_a_foreign_block_within_counts_among_the_sources() -> None:
    registry.register("scale", **ABOUT)(Scale)
    assert registry.sources("frozen:block=[matched:block=[scale]]").keys() == {"scale"}
    assert registry.sources("frozen:block=[matched:block=[timm_se]]") == {}
