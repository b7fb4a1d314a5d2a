"""What the adapters of timm's layers refuse, what timm itself breaks, and the maps that they cannot take."""

from typing import Any

import pytest
import timm
import torch
from timm.layers.create_attn import create_attn

from attnzoo import registry
from attnzoo.errors import AttnzooError

TIMM = tuple(name for name in registry.available() if registry.entry(name).group == "timm")
NEEDS_SIZE = {"timm_bottleneck": {"feat_size": (16, 16)}}
BROKEN = "timm_ge"  # in timm 1.0.31
ODD = "a kernel is odd, such as 3 or 7"
SHARE = "give a share above 0 and up to 1"


def refused(name: str, channels: int, **options: Any) -> tuple[str, str | None]:
    with pytest.raises(AttnzooError) as caught:
        registry.build(name, channels, **options)
    return caught.value.message, caught.value.hint


@pytest.mark.parametrize("name", [name for name in TIMM if name != BROKEN])
def test_what_timm_builds_is_built(name: str) -> None:
    create_attn(name.removeprefix("timm_"), 64, **NEEDS_SIZE.get(name, {}))
    registry.build(name, 64)


def test_what_timm_breaks_is_refused_in_its_words() -> None:
    with pytest.raises(TypeError) as caught:
        create_attn("ge", 64)
    assert refused("timm_ge", 64) == (
        f"`timm_ge` cannot be built: timm {timm.__version__} itself fails with `TypeError: {caught.value}`",
        "`use_mlp=False` leaves the broken perceptron out; attnzoo's `se` is what it would be",
    )


@pytest.mark.parametrize(
    ("name", "channels", "options", "what", "hint"),
    [
        ("se", 64, {"rd_ratio": 0}, "reduce 64 channels by rd_ratio=0", SHARE),
        ("bat", 64, {"rd_ratio": 1.5}, "reduce 64 channels by rd_ratio=1.5", SHARE),
        ("cbam", 64, {"spatial_kernel_size": 4}, "centre spatial_kernel_size=4", ODD),
        ("ela", 64, {"kernel_size": -1}, "centre kernel_size=-1", ODD),
        ("lambda", 64, {"r": 8}, "centre r=8", ODD),
        ("lambda", 64, {"dim_head": 0}, "take dim_head=0", "`dim_head` is 1 or more"),
        ("halo", 12, {}, "split 12 channels into num_heads=8", "possible is `1`, `2`, `3`, `4`, `6` or `12`"),
        ("halo", 64, {"halo_size": -1}, "look halo_size=-1 beyond a block", "`halo_size` is 0 or more"),
        ("halo", 64, {"block_size": 0}, "take block_size=0", "`block_size` is 1 or more"),
        ("bottleneck", 64, {"feat_size": (0, 8)}, "take feat_size=0", "`feat_size` is 1 or more"),
        ("splat", 9, {}, "split 9 channels into radix=2", "possible is `1`, `3` or `9`"),
        ("sk", 9, {}, "split 9 channels between two branches", "`split_input=False` gives all to both"),
        ("bat", 64, {"groups": 3}, "split 16 inner channels into groups=3", "possible is `1`, `2`, `4`, `8` or `16`"),
        ("bat", 64, {"groups": 0}, "take groups=0", "`groups` is 1 or more"),
        (
            "ge",
            64,
            {"extent": 3},
            "gather over extent=3",
            "0 is the whole map; any other extent is even, such as 2 or 4",
        ),
    ],
)
def test_impossible_options_are_told(name: str, channels: int, options: Any, what: str, hint: str) -> None:
    assert refused(f"timm_{name}", channels, **options) == (f"`timm_{name}` cannot {what}", hint)


def test_what_timm_fails_at_is_told_in_its_words() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        create_attn("bottleneck", 17, feat_size=(16, 16), num_heads=17)
    assert refused("timm_bottleneck", 17, num_heads=17) == (
        f"`timm_bottleneck` cannot be built: timm {timm.__version__} itself fails with "
        f"`ZeroDivisionError: {caught.value}`",
        "other values of its options may do",
    )


@pytest.mark.parametrize(
    ("name", "possible", "size", "what", "hint"),
    [
        (
            "bottleneck",
            [(16, 16)],
            (32, 24),
            "take a map of 32×24, built for feat_size=(16,16)",
            "say `feat_size=(32,24)`",
        ),
        (
            "halo",
            [(8, 8), (16, 64)],
            (12, 16),
            "cut a map of 12×16 into blocks of block_size=8",
            "both edges must be multiples of 8: choose another block_size or image size",
        ),
        (
            "bat",
            [(7, 7), (14, 56)],
            (16, 14),
            "cut a map of 16×14 into blocks of block_size=7",
            "both edges must be multiples of 7: choose another block_size or image size",
        ),
    ],
)
def test_maps_of_other_sizes_are_told(name: str, possible: Any, size: Any, what: str, hint: str) -> None:
    block = registry.build(f"timm_{name}", 64).eval()
    for fitting in possible:
        block.check_size(fitting)
        assert block(torch.ones(1, 64, *fitting)).shape[2:] == fitting
    with pytest.raises(AttnzooError) as caught:
        block.check_size(size)
    assert (caught.value.message, caught.value.hint) == (f"`timm_{name}` cannot {what}", hint)
    with pytest.raises(AttnzooError) as caught:
        block(torch.ones(1, 64, *size))
    assert (caught.value.message, caught.value.hint) == (f"`timm_{name}` cannot {what}", hint)
    with pytest.raises(AssertionError):
        block.attn(torch.ones(1, 64, *size))  # timm's own word on it


def test_too_many_pairs_of_positions_are_told() -> None:
    block = registry.build("timm_nl", 64)
    block.check_size((128, 128))
    with pytest.raises(AttnzooError) as caught:
        block.check_size((128, 129))
    assert str(caught.value) == (
        "`timm_nl` cannot relate the 16512 positions of a map of 128×129\n"
        "hint: place it where a map has at most 16384, or take `non_local` or `danet_position`"
    )
