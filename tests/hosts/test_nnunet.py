"""nnU-Net's networks, in 2-D and 3-D: every promise of a host, and what they have of their own.

Their package wants timm below 1.0.23, and attnzoo a newer one: `tests/environments/nnunet.sh` makes the environment.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import attnzoo
from attnzoo import insert

from .promises import Network, asked_of, outputs, refusal, to_onnx_and_back

unet = pytest.importorskip(
    "dynamic_network_architectures.architectures.unet",
    reason="needs dynamic-network-architectures: see tests/environments/nnunet.sh",
)


def build(name: str, dims: int, *, widths: tuple[int, ...] = (8, 12, 16), **options: Any) -> nn.Module:
    """A network in the style of nnU-Net's plans."""
    stages = "n_blocks_per_stage" if name == "ResidualEncoderUNet" else "n_conv_per_stage"
    plan = {
        "strides": (1, 2, 2),
        "kernel_sizes": 3,
        stages: 1,
        "n_conv_per_stage_decoder": 1,
        "conv_op": nn.Conv2d if dims == 2 else nn.Conv3d,
        "norm_op": nn.InstanceNorm2d if dims == 2 else nn.InstanceNorm3d,
        "norm_op_kwargs": {"affine": True},
        "nonlin": nn.LeakyReLU,
        "nonlin_kwargs": {"inplace": True},
        "conv_bias": True,
    }
    return getattr(unet, name)(1, len(widths), widths, num_classes=3, **(plan | options))


FLAT = {"strides": (1, (1, 2, 2), (2, 2, 2)), "kernel_sizes": ((1, 3, 3), (3, 3, 3), (3, 3, 3))}
# residual blocks keep a lambda, so that the bare network cannot be pickled either
NETWORKS = {
    "PlainConvUNet-2D": Network(lambda: build("PlainConvUNet", 2), (2, 1, 16, 24)),
    "PlainConvUNet-3D": Network(lambda: build("PlainConvUNet", 3, deep_supervision=True, **FLAT), (1, 1, 8, 16, 24)),
    "ResidualEncoderUNet-2D": Network(
        lambda: build("ResidualEncoderUNet", 2, deep_supervision=True), (2, 1, 16, 24), pickles=False
    ),
    "ResidualEncoderUNet-3D": Network(
        lambda: build("ResidualEncoderUNet", 3, **FLAT), (1, 1, 8, 16, 24), pickles=False
    ),
}


@asked_of(NETWORKS)
def test_promise(network: Network, promise: Callable[[Network], None]) -> None:
    promise(network)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_onnx_computes_the_same(name: str, tmp_path: Path) -> None:
    to_onnx_and_back(NETWORKS[name], tmp_path)


@pytest.mark.parametrize("name", ["PlainConvUNet", "ResidualEncoderUNet"])
def test_sites_are_told_in_full(name: str) -> None:
    stage = "encoder.stages.{}.0.slot" if name == "PlainConvUNet" else "encoder.stages.{}.slot"
    sites = attnzoo.sites(build(name, 3, **FLAT))
    assert [(site.name, site.path, site.channels, dict(site.gates), site.stride) for site in sites] == [
        ("encoder1", stage.format(0), 8, {}, 1),
        ("encoder2", stage.format(1), 12, {}, (1, 2, 2)),
        ("skip1", "decoder.skip_slots.1", 8, {"upsampled": 8, "coarse": 12}, 1),
        ("skip2", "decoder.skip_slots.0", 12, {"upsampled": 12, "coarse": 16}, (1, 2, 2)),
        ("bottleneck", stage.format(2), 16, {}, (2, 4, 4)),
        ("decoder1", "decoder.stages.1.slot", 8, {}, 1),
        ("decoder2", "decoder.stages.0.slot", 12, {}, (1, 2, 2)),
    ]


def test_gates_of_both_kinds_have_what_they_listen_to() -> None:
    model = insert(build("PlainConvUNet", 2), "gate+grid_gate")
    assert model(torch.randn(1, 1, 16, 16)).shape == (1, 3, 16, 16)


@pytest.mark.parametrize("name", ["PlainConvUNet", "ResidualEncoderUNet"])
def test_deep_supervision_is_turned_on_and_off_from_outside(name: str) -> None:
    bare, model = build(name, 2), build(name, 2)
    model.load_state_dict(bare.state_dict())
    for site in attnzoo.sites(model):
        attnzoo.hosts.host_of(model).slot(model, site)
    x = torch.randn(2, 1, 16, 16)
    for on in (True, False, True):
        bare.decoder.deep_supervision = model.decoder.deep_supervision = on
        answers, expected = outputs(model(x)), outputs(bare(x))
        assert len(answers) == (2 if on else 1)
        assert all(torch.equal(answer, wanted) for answer, wanted in zip(answers, expected, strict=True))


@pytest.mark.parametrize("name", ["PlainConvUNet", "ResidualEncoderUNet"])
def test_nnunets_estimate_of_memory_still_works(name: str) -> None:
    bare, model = build(name, 2), insert(build(name, 2), "se:reduction=2@encoder.skip.bottleneck.decoder")
    assert model.compute_conv_feature_map_size((16, 16)) == bare.compute_conv_feature_map_size((16, 16))


def test_pretrained_encoders_are_found_where_nnunet_looks_for_them() -> None:
    model = insert(build("PlainConvUNet", 2), "se:reduction=2@encoder")
    for key in (model.key_to_encoder, model.key_to_stem, *model.keys_to_in_proj):
        assert isinstance(model.get_submodule(key), nn.Module)


def test_what_others_have_changed_is_refused() -> None:
    class Stranger(type(build("PlainConvUNet", 2).decoder)):  # type: ignore[misc]
        pass

    model = build("PlainConvUNet", 2)
    model.decoder.__class__ = Stranger
    hint = "furnish a model that is as dynamic-network-architectures builds it"
    assert refusal(lambda: insert(model, "se")) == (
        "`Stranger` in this `PlainConvUNet` is not as dynamic-network-architectures builds it",
        hint,
    )
    model = build("ResidualEncoderUNet", 2)
    model.encoder = nn.Identity()
    assert refusal(lambda: attnzoo.sites(model)) == (
        "`Identity` in this `ResidualEncoderUNet` is not as dynamic-network-architectures builds it",
        hint,
    )
