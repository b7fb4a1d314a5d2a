"""Polarized self-attention's equations, as loops."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from attnzoo import registry
from attnzoo.blocks.polarized import Polarized
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import Array, array, convolve, positions, sigmoid, softmax

FORMS = [(layout, variant) for layout in ("parallel", "sequential") for variant in ("authors", "paper")]


def matrix(layer: nn.Module) -> Array:
    weight = array(layer.weight)
    return weight.reshape(weight.shape[:2])


def normed(values: Array, norm: nn.LayerNorm) -> Array:
    spread = math.sqrt(values.var() + norm.eps)
    return (values - values.mean()) / spread * array(norm.weight).ravel() + array(norm.bias).ravel()


def channel_factor(maps: Array, block: Polarized, layout: str, variant: str) -> Array:
    query, values = convolve(maps, block.conv_q_right)[0], convolve(maps, block.conv_v_right)
    shares = softmax([query[at] for at in positions(maps)])
    picked = np.array([sum(s * one[at] for s, at in zip(shares, positions(maps), strict=True)) for one in values])
    up: Any = block.conv_up
    if variant == "paper":
        logits = normed(matrix(up[0]) @ picked, up[1])
    elif layout == "parallel":
        logits = matrix(up) @ picked
    else:
        narrow = np.maximum(normed(matrix(up[0]) @ picked + array(up[0].bias), up[1]), 0)
        logits = matrix(up[3]) @ narrow + array(up[3].bias)
    return np.array([sigmoid(logit) for logit in logits])


def position_factor(maps: Array, block: Polarized, layout: str, variant: str) -> Array:
    query = [one.mean() for one in convolve(maps, block.conv_q_left)]
    values = convolve(maps, block.conv_v_left)
    if variant == "paper":
        query = softmax(query)
    elif layout == "sequential":
        values = np.array([np.reshape(softmax(list(one.ravel())), one.shape) for one in values])
    logits = sum(share * one for share, one in zip(query, values, strict=True))
    if (layout, variant) == ("parallel", "authors"):
        logits = np.reshape(softmax(list(logits.ravel())), logits.shape)
    return np.vectorize(sigmoid)(logits)


def naive_polarized(maps: Array, block: Polarized, layout: str, variant: str) -> Array:
    by_channel = channel_factor(maps, block, layout, variant).reshape(-1, *[1] * (maps.ndim - 1))
    if layout == "parallel":
        return maps * by_channel + maps * position_factor(maps, block, layout, variant)
    scaled = maps * by_channel
    return scaled * position_factor(scaled, block, layout, variant)


@pytest.mark.parametrize("size", [(3, 4), (1, 1), (2, 3, 2)])
@pytest.mark.parametrize(("layout", "variant"), FORMS)
def test_equations(size: tuple[int, ...], layout: Any, variant: Any) -> None:
    block = Polarized(17, layout=layout, variant=variant, dims=2 if len(size) == 2 else 3).double()
    fill(block)
    x = 3 * wave(2, 17, *size)
    expected = np.array([naive_polarized(sample, block, layout, variant) for sample in array(x)])
    np.testing.assert_allclose(array(block(x)), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(("form", "count"), [*zip(FORMS, (8256, 8384, 7064, 8384), strict=True)])
def test_parameters(form: tuple[str, str], count: int) -> None:
    block = registry.build("polarized", 64, layout=form[0], variant=form[1])
    assert sum(weight.numel() for weight in block.parameters()) == count


@pytest.mark.parametrize(("layout", "variant"), FORMS)
def test_products_of_large_values_do_not_overflow_in_half_precision(layout: str, variant: str) -> None:
    torch.manual_seed(0)
    block = registry.build("polarized", 64, layout=layout, variant=variant)
    x = 1000 * (1 + 0.1 * wave(1, 64, 8, 8).float())
    with torch.autocast("cpu", torch.float16):
        mixed = block(x)
    assert mixed.isfinite().all()


@pytest.mark.parametrize(
    ("channels", "options", "text"),
    [
        (
            1,
            {},
            "`polarized` cannot halve 1 channels with layout=parallel and variant=authors\n"
            "hint: it takes 2 channels or more",
        ),
        (
            7,
            {"layout": "sequential"},
            "`polarized` cannot halve 7 channels with layout=sequential and variant=authors\n"
            "hint: it takes 8 channels or more",
        ),
    ],
)
def test_impossible_options_are_told(channels: int, options: dict[str, Any], text: str) -> None:
    with pytest.raises(AttnzooError) as caught:
        registry.build("polarized", channels, **options)
    assert str(caught.value) == text
