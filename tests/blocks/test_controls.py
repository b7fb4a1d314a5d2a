"""The controls: what is the same, what is nearly as large, and what does not learn."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from attnzoo import registry, spec
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import array, convolve


def build(spelling: str, channels: int = 64, gate: int | None = 96, dims: int = 2) -> nn.Module:
    return registry.build_block(spec.parse_block(spelling), channels, gate, dims)


def count(block: nn.Module) -> int:
    return sum(weight.numel() for weight in block.parameters())


def refused(spelling: str, channels: int = 64, gate: int | None = 96, dims: int = 2) -> str:
    with pytest.raises(AttnzooError) as caught:
        build(spelling, channels, gate, dims)
    return str(caught.value)


def test_identity_is_free_and_adds_nothing() -> None:
    block, x = build("identity"), wave(2, 64, 3, 5)
    assert block(x) is x
    assert count(block) == 0
    assert torch.equal(block.added(x), torch.zeros_like(x))


@pytest.mark.parametrize("size", [(3, 5), (2, 3, 4)])
@pytest.mark.parametrize("target", ["ema:groups=2", "ema:groups=8", "se:reduction=2"])
def test_matched_is_one_convolution_for_all_groups(size: tuple[int, ...], target: str) -> None:
    block = build(f"matched:block=[{target}]", 8, dims=len(size)).double()
    fill(block)
    x = wave(2, 8, *size)
    maps = array(x).reshape(-1, block.width, *size)
    expected = np.array([convolve(group, block.conv) for group in maps])
    np.testing.assert_allclose(array(block(x)).reshape(maps.shape), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("channels", [1, 12, 37, 64])
@pytest.mark.parametrize("target", ["ema:groups=auto", "se:reduction=1", "cbam:reduction=1", "gate", "grid_gate"])
def test_matched_counts_as_nearly_as_may_be(target: str, channels: int, dims: int) -> None:
    block, wanted = build(f"matched:block=[{target}]", channels, dims=dims), count(build(target, channels, dims=dims))
    sizes = {
        (kernel, width): kernel**dims * width**2 + width
        for kernel in (1, 3, 5, 7)
        for width in range(1, channels + 1)
        if channels % width == 0
    }
    nearest = min(abs(size - wanted) for size in sizes.values())
    assert count(block) == sizes[block.kernel, block.width]
    assert block.difference == count(block) - wanted
    assert abs(block.difference) == nearest
    assert block.target == wanted
    assert block.kernel == max(kernel for (kernel, _), size in sizes.items() if abs(size - wanted) == nearest)


def test_of_two_equally_near_the_larger_kernel_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    # 3·3·2·2 + 2 = 38 and 5·5·1·1 + 1 = 26, 32 in the middle
    monkeypatch.setattr("attnzoo.blocks.matched.build_within", lambda *_: nn.Linear(32, 1, bias=False))
    block = registry.build("matched", 64)
    assert (block.kernel, block.width, block.difference) == (5, 1, -6)


@pytest.mark.parametrize(
    ("spelling", "remark"),
    [
        ("matched", "50 parameters, 2 more than `ema`'s 48 (kernel 7, 1 channel a group)"),
        (
            "matched:block=[ema:groups=8]",
            "584 parameters, 88 fewer than `ema:groups=8`'s 672 (kernel 3, 8 channels a group)",
        ),
        ("matched:block=[gate]", "6,416 parameters, 1,069 more than `gate`'s 5,347 (kernel 5, 16 channels a group)"),
        ("matched:block=[identity]", "no parameters, as `identity` has none: the identity"),
        (
            "matched:block=[matched]",
            "50 parameters, as many as `matched` has (kernel 7, 1 channel a group)",
        ),
        (
            "matched:block=[frozen]",
            "50 parameters, 2 more than `frozen`'s 48 (kernel 7, 1 channel a group)",
        ),
        ("frozen", "48 parameters, none of which learns"),
        ("frozen:block=[identity]", "no parameters to freeze"),
        ("frozen:block=[danet_channel]", "1 parameter, which does not learn"),
        (
            "frozen:block=[matched]",
            "50 parameters, none of which learns; within: 50 parameters, 2 more than `ema`'s 48 (kernel 7, 1 channel a "
            "group)",
        ),
    ],
)
def test_remarks_tell_the_count(spelling: str, remark: str) -> None:
    assert build(spelling).remark == remark


def test_what_has_no_parameters_is_matched_by_the_identity() -> None:
    block, x = build("matched:block=[simam]"), wave(2, 64, 3, 5)
    assert torch.equal(block(x), x)
    assert (count(block), block.kernel, block.difference) == (0, 0, 0)


def test_matched_needs_the_gates_width_and_hears_no_gate() -> None:
    block = build("matched:block=[gate]")
    assert (block.listens, registry.signal(spec.parse_block("matched:block=[gate]"))) == (None, "upsampled")
    assert block.target == count(build("gate"))
    assert block(wave(1, 64, 4, 4).float()).shape == (1, 64, 4, 4)


def test_a_matched_convolution_starts_alike_whatever_it_is_matched_to() -> None:
    starts = []
    for target in ("ema", "ema:groups=auto"):
        torch.manual_seed(0)
        starts.append(build(f"matched:block=[{target}]").conv.weight)
    assert torch.equal(*starts)
    assert "matches=ema:groups=auto, kernel=7, width=1" in repr(build("matched:block=[ema:groups=auto]"))


@pytest.mark.parametrize(
    ("spelling", "kind", "listens"),
    [("gate", "scale", "upsampled"), ("grid_gate", "mix", "coarse"), ("identity", "add", None), ("se", "scale", None)],
)
def test_frozen_is_the_block_within_in_evaluation_mode(spelling: str, kind: str, listens: str | None) -> None:
    block = build(f"frozen:block=[{spelling}]").train()
    x, *gate = wave(2, 64, 4, 6).float(), *([wave(2, 96, 4, 6).float()] if listens else [])
    assert (block.kind, block.listens) == (kind, listens)
    assert torch.equal(block(x, *gate), block.block.eval()(x, *gate))
    shown = {"scale": "weights", "add": "added"}.get(kind)
    if shown is not None:
        assert torch.equal(getattr(block, shown)(x, *gate), getattr(block.block, shown)(x, *gate))


def test_training_changes_nothing_that_is_frozen_and_passes_gradients_on() -> None:
    net = nn.Sequential(nn.Conv2d(3, 64, 1), build("frozen:block=[cbam]"), nn.Conv2d(64, 2, 1)).train()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1, weight_decay=0.1)
    for step in range(2):
        net(wave(2, 3, 8, 8, start=step).float()).square().mean().backward()
        optimizer.step()
    changed = {key for key, value in net.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {"0.weight", "0.bias", "2.weight", "2.bias"}
    assert not any(weight.requires_grad for weight in net[1].parameters())
    assert net[1].training
    assert not net[1].block.training


def test_frozen_refuses_the_map_sizes_that_its_block_refuses() -> None:
    build("frozen").check_size((5, 7))
    block: Any = build("frozen:block=[timm_halo]")
    block.check_size((8, 16))
    with pytest.raises(AttnzooError) as caught:
        block.check_size((12, 16))
    assert caught.value.message == (
        "`frozen` cannot sit here, since `timm_halo` cannot cut a map of 12×16 into blocks of block_size=8"
    )


@pytest.mark.parametrize("name", ["frozen", "matched"])
def test_what_cannot_be_within_is_told_with_both_names(name: str) -> None:
    assert refused(f"{name}:block=[ema:groups=3]", 8) == (
        f"`{name}` cannot be built, since `ema` cannot split 8 channels into groups=3\n"
        "hint: 8 divides into 1, 2, 4 or 8 groups, and `groups=auto` takes the largest up to 32"
    )
    assert refused(f"{name}:block=[ema+se]") == (
        f"`{name}` cannot wrap `[ema+se]`, which is a chain\n"
        f"hint: chain the wrappers: `{name}:block=[ema]+{name}:block=[se]`"
    )
    assert refused(f"{name}:block=[timm_se]", dims=3) == (
        f"`{name}` cannot be built, since `timm_se` has no form for 3 spatial dimensions: "
        "timm's layers are for images\nhint: it has `2`"
    )
    assert refused(f"{name}:block=[gate]", gate=None) == (
        f"`{name}` cannot be built, since `gate` hears the decoder, and gate_channels is not given\n"
        "hint: give gate_channels, a width"
    )
