"""What is known of a block, what is built, and what is refused."""

import subprocess
import sys
from collections.abc import Callable

import pytest
from torch import nn

from attnzoo import registry, spec
from attnzoo.errors import AttnzooError, listing

from .examples import ABOUT, Scale, refused

GIVE = "give gate_channels, a width"
WIDTH = "a width is a whole number from 1 up"
OTHERS = "take other options or another width, or mend the block"
NO_OPTION = spec.parse_block("se:channels=8")


def test_imports_no_torch() -> None:
    program = "import sys, attnzoo.registry, attnzoo.spec; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_what_is_known_of_a_block() -> None:
    assert {"cbam", "ema", "gate", "grid_gate", "se"} <= set(registry.available())
    assert list(registry.available()) == sorted(registry.available())
    ema, gate = registry.entry("ema"), registry.entry("gate")
    assert (ema.kind, ema.gated, ema.listens, ema.dims, ema.year) == ("scale", False, None, (2, 3), 2023)
    assert {name: (option.type, option.default) for name, option in ema.options.items()} == {
        "groups": ("int or auto", 32)
    }
    assert (gate.gated, gate.listens, gate.options["inner"].type) == (True, "upsampled", "int or None")
    assert registry.entry("grid_gate").listens == "coarse"


def test_builds_by_name_and_by_spelling() -> None:
    block = registry.build("ema", 64, groups=8)
    assert (type(block).__name__, block.groups) == ("EMA", 8)
    assert isinstance(registry.build("se", 64, dims=3).squeeze, nn.Conv3d)
    assert registry.build_block(spec.parse_block("gate:inner=5"), 8, 4).psi[0].in_channels == 5
    registry.build("ema", 64, gate_channels=64)  # an ungated block hears no gate, so that loops need not ask


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("emma", "did you mean `ema`?"),
        ("EMA", "did you mean `ema`?"),
        ("grid-gate", "did you mean `grid_gate`?"),
        ("gird_gate", "did you mean `grid_gate`?"),
    ],
)
def test_unknown_blocks_are_told(name: str, hint: str) -> None:
    assert refused(lambda: registry.build(name, 64)) == (f"`{name}` is no block", hint)


def test_a_name_like_no_other_is_met_with_all_names() -> None:
    message, hint = refused(lambda: registry.build("xyzzy", 64))
    assert message == "`xyzzy` is no block"
    # other tests of this process may have registered blocks of their own
    assert hint == f"blocks are {listing(registry.available(), last='and')}; `--plugin FILE` adds your own"
    assert {"cbam", "ema", "gate", "grid_gate", "se"} <= set(registry.available())


@pytest.mark.parametrize(
    ("build", "message", "hint"),
    [
        (lambda: registry.build("ema", 64, group=8), "`ema` has no option `group`", "did you mean `groups`?"),
        (lambda: registry.build("cbam", 64, x=8), "`cbam` has no option `x`", "it has `reduction` and `kernel`"),
        (lambda: registry.build_block(NO_OPTION, 64), "`se` has no option `channels`", "it has `reduction`"),
        (lambda: registry.build("ema", 64, dims=4), "`ema` has no form for 4 spatial dimensions", "it has `2` or `3`"),
        (
            lambda: registry.build("se", 64, dims="2"),
            "`se` has no form for '2' spatial dimensions",
            "it has `2` or `3`",
        ),
        (lambda: registry.build("gate", 64), "`gate` hears the decoder, and gate_channels is not given", GIVE),
        (lambda: registry.build("gate", 64, gate_channels=0), "`gate` cannot have gate_channels=0", WIDTH),
        (lambda: registry.build("se", 0), "`se` cannot have channels=0", WIDTH),
        (lambda: registry.build("se", 6.4), "`se` cannot have channels=6.4", WIDTH),
    ],
)
def test_what_cannot_be_built_is_told(build: Callable[[], object], message: str, hint: str) -> None:
    assert refused(build) == (message, hint)


class Particular(Scale):
    """Refuses in its own words."""

    def __init__(self, channels: int, *, by: int = 48) -> None:
        super().__init__(channels)
        if channels % by:
            raise ValueError(f"channels must be a multiple of {by}.\nThey are {channels}.")


@pytest.mark.usefixtures("fresh")
def test_what_a_constructor_raises_of_its_own_is_told_and_kept() -> None:
    registry.register("particular", **ABOUT)(Particular)
    registry.build("particular", 48)
    for build, message in (
        (lambda: registry.build("particular", 64), "`particular` cannot be built: channels must be a multiple of 48"),
        (
            lambda: registry.build("frozen", 64, block=spec.Chain((spec.parse_block("particular:by=5"),))),
            "`frozen` cannot be built, since `particular:by=5` cannot be built: channels must be a multiple of 5",
        ),
    ):
        assert refused(build) == (message, OTHERS)
    with pytest.raises(AttnzooError) as caught:
        registry.build("particular", 64)
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_block_for_which_no_machine_has_memory_is_told() -> None:
    message, hint = refused(lambda: registry.build("gate", 64, gate_channels=64, inner=10**12))
    assert message.startswith("`gate:inner=1000000000000` cannot be built: ")
    assert "\n" not in message
    assert hint == OTHERS
