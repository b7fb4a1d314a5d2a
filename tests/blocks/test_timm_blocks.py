"""timm's layers under our names are timm's layers: a contract of their own, and what they refuse."""

import copy
import inspect
import pickle
import re
from typing import Any

import pytest
import torch
from timm.layers.create_attn import create_attn, get_attn
from torch import nn

from attnzoo import registry
from attnzoo.errors import AttnzooError

from .cases import fill, wave

TIMM = tuple(name for name in registry.available() if registry.entry(name).group == "timm")
WORKING = {name: {} for name in TIMM if name != "timm_ge"} | {"timm_ge": {"use_mlp": False}}
NEEDS_SIZE = {"bottleneck": {"feat_size": (16, 16)}}
SIZES = {"timm_bottleneck": (16, 16), "timm_halo": (8, 16), "timm_bat": (7, 14)}
OTHERS = {
    "timm_bat": {"block_size": 14, "groups": 4, "rd_ratio": 0.5, "drop_rate": 0.5},
    "timm_bottleneck": {"feat_size": (8, 8), "num_heads": 8},
    "timm_cbam": {"rd_ratio": 0.25, "spatial_kernel_size": 3},
    "timm_coord": {"rd_ratio": 0.5, "has_skip": True},
    "timm_ecam": {"rd_ratio": 0.5},
    "timm_ela": {"kernel_size": 3, "has_skip": True},
    "timm_gc": {"rd_ratio": 0.25, "use_attn": False},
    "timm_gca": {"rd_ratio": 0.25, "use_attn": False},
    "timm_ge": {"extent": 2, "use_mlp": False},
    "timm_halo": {"num_heads": 4, "block_size": 4, "halo_size": 1},
    "timm_lambda": {"num_heads": 8, "dim_head": 8, "r": 3},
    "timm_lcbam": {"rd_ratio": 0.25, "spatial_kernel_size": 3},
    "timm_nl": {"rd_ratio": 0.25, "use_scale": False},
    "timm_scoord": {"rd_ratio": 0.5, "has_skip": True},
    "timm_se": {"rd_ratio": 0.25},
    "timm_sk": {"rd_ratio": 0.5, "keep_3x3": False, "split_input": False},
    "timm_splat": {"radix": 4, "kernel_size": 5, "rd_ratio": 0.5},
    "timm_strip": {"kernel_size": 5, "has_skip": True},
}

each = pytest.mark.parametrize("name", TIMM)


def theirs(name: str, **options: Any) -> nn.Module:
    word = name.removeprefix("timm_")
    return create_attn(word, 64, **NEEDS_SIZE.get(word, {}) | options)


def make(name: str, **options: Any) -> nn.Module:
    return registry.build(name, 64, **WORKING[name] | options).eval()


def skip(name: str, batch: int = 2) -> torch.Tensor:
    return wave(batch, 64, *SIZES.get(name, (9, 12))).float()


@each
def test_its_shapes_can_be_asked_without_numbers(name: str) -> None:
    output = make(name).to("meta")(skip(name).to("meta"))
    assert (output.shape, output.device.type) == (skip(name).shape, "meta")


def test_every_name_of_timm_has_one_of_ours() -> None:
    words = re.findall(r"attn_type == '(\w+)'", inspect.getsource(get_attn))
    assert sorted(f"timm_{word}" for word in words) == sorted(TIMM)


@each
def test_it_is_timms_own_layer(name: str) -> None:
    options = WORKING[name]
    torch.manual_seed(0)
    ours = registry.build(name, 64, **options)
    torch.manual_seed(0)
    twin = theirs(name, **options)
    state, reference = ours.attn.state_dict(), twin.state_dict()
    assert list(state) == list(reference)
    assert [f"attn.{key}" for key in state] == list(ours.state_dict())
    assert all(torch.equal(state[key], reference[key]) for key in state)
    fill(twin)
    ours.attn.load_state_dict(twin.state_dict())
    x = skip(name)
    torch.manual_seed(1)
    trained = ours.train()(x)
    torch.manual_seed(1)
    assert torch.equal(trained, twin.train()(x))
    assert torch.equal(ours.eval()(x), twin.eval()(x))
    assert (trained.shape, trained.dtype) == (x.shape, x.dtype)


@each
def test_every_option_changes_something(name: str) -> None:
    assert OTHERS.get(name, {}).keys() == registry.entry(name).options.keys()
    x = wave(2, 64, *((16, 16) if name != "timm_bat" else (14, 14))).float()
    plain = seeded(make(name), x)
    for option, value in OTHERS.get(name, {}).items():
        if option == "use_mlp":
            continue  # the other value is the broken one
        size = (8, 8) if option == "feat_size" else x.shape[2:]
        changed = seeded(make(name, **{option: value}), x[..., : size[0], : size[1]])
        assert changed.shape != plain.shape or not torch.allclose(changed, plain), option


def seeded(block: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """In training mode, since an option may be a dropout's."""
    fill(block)
    torch.manual_seed(0)
    return block.train()(x)


@each
def test_leaves_its_input_alone_and_passes_gradients(name: str) -> None:
    block, x = make(name), skip(name)
    fill(block)
    before = x.clone()
    output = block(x.requires_grad_())
    assert torch.equal(x, before)
    output.square().mean().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert x.grad.any()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in block.parameters())


@each
def test_survives_a_copy_and_a_pickle(name: str) -> None:
    block, x = make(name), skip(name)
    for twin in (copy.deepcopy(block), pickle.loads(pickle.dumps(block))):
        assert torch.equal(twin(x), block(x))


@each
def test_has_no_form_for_volumes(name: str) -> None:
    told = f"`{name}` has no form for 3 spatial dimensions: timm's layers are for images\nhint: it has `2`"
    for build in (lambda: registry.build(name, 64, dims=3), lambda: registry.entry(name).cls(64, dims=3)):
        with pytest.raises(AttnzooError) as caught:
            build()
        assert str(caught.value) == told


@each
def test_docstring_is_complete(name: str) -> None:
    entry = registry.entry(name)
    lines = [line.strip() for line in (entry.cls.__doc__ or "").splitlines()]
    order = [lines.index(f"{section}:") for section in ("Args", "Shape", "Reference", "Deviations")]
    assert order == sorted(order)
    assert lines[0].endswith(".")
    assert order[0] > 3
    for argument in ("channels", *entry.options, "dims"):
        assert any(line.startswith(f"{argument}: ") for line in lines[order[0] : order[1]]), argument
    reference = " ".join(lines[order[2] : order[3]])
    assert all(part in reference for part in (entry.reference, entry.code, "(Apache-2.0)"))
    assert (entry.kind, entry.licence, entry.listens) == ("mix", "Apache-2.0", None)
