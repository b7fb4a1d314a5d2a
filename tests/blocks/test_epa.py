"""EPA's equations, as loops."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from attnzoo import registry
from attnzoo.blocks.epa import EPA
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import array, softmax


def linear(vector: np.ndarray, layer: torch.nn.Linear) -> np.ndarray:
    return array(layer.weight) @ vector + (0 if layer.bias is None else array(layer.bias))


def naive_epa(maps: np.ndarray, block: EPA, scrambled: bool) -> np.ndarray:
    """One sample, (C, *S)."""
    width, tokens = len(maps), maps.reshape(len(maps), -1).T  # (N, C)
    count, each = len(tokens), width // block.heads
    q, k, v_channel, v_spatial = np.split(np.array([linear(token, block.qkvv) for token in tokens]), 4, 1)
    spatial, channel = np.empty((block.heads, count, each)), np.empty((count, width))
    for head in range(block.heads):
        own = range(head * each, (head + 1) * each)
        query = {c: q[:, c] / math.sqrt(np.dot(q[:, c], q[:, c])) for c in own}
        key = {c: k[:, c] / math.sqrt(np.dot(k[:, c], k[:, c])) for c in own}
        heat, heat2 = array(block.temperature)[head].item(), array(block.temperature2)[head].item()
        for c in own:
            shares = softmax([heat * np.dot(query[c], key[other]) for other in own])
            channel[:, c] = sum(share * v_channel[:, other] for share, other in zip(shares, own, strict=True))
        keys, values = ([linear(of[:, c], block.E) for c in own] for of in (k, v_spatial))  # (each, P)
        for place in range(count):
            products = [sum(query[c][place] * keys[c - own[0]][slot] for c in own) for slot in range(len(keys[0]))]
            shares = softmax([heat2 * product for product in products])
            spatial[head, place] = [np.dot(shares, values[c - own[0]]) for c in own]
    if scrambled:  # read as (d, heads, N), and cut into N pieces of C
        spatial = np.array([spatial[:, :, c].ravel() for c in range(each)]).ravel().reshape(count, width)
    else:
        spatial = np.concatenate(list(spatial), 1)  # (N, C)
    joined = [
        np.concatenate([linear(one, block.out_proj), linear(other, block.out_proj2)])
        for one, other in zip(spatial, channel, strict=True)
    ]
    return np.array(joined).T.reshape(maps.shape)


@pytest.mark.parametrize("variant", ["paper", "authors"])
@pytest.mark.parametrize(("size", "heads"), [((3, 4), 2), ((5, 2), 1), ((1, 1), 6), ((2, 3, 2), 3)])
def test_equations(size: tuple[int, ...], heads: int, variant: Any) -> None:
    block = EPA(6, size=size, heads=heads, projection=5, variant=variant, dims=2 if len(size) == 2 else 3).double()
    fill(block)
    x = wave(2, 6, *size)
    expected = np.array([naive_epa(sample, block, variant == "authors") for sample in array(x)])
    np.testing.assert_allclose(array(block(x)), expected, rtol=1e-10, atol=1e-12)


def test_default_leaves_positions_in_their_place() -> None:
    """With the layer over positions blind to order, turning the map turns the result; not so in the authors' code."""
    x = wave(1, 8, 4, 6)
    for variant, turns in (("paper", True), ("authors", False)):
        block = registry.build("epa", 8, size=(4, 6), variant=variant).double()
        fill(block)
        block.E.weight.data = block.E.weight.data[:, :1].expand(-1, 24)
        assert torch.allclose(block(x.flip(3)), block(x).flip(3)) is turns
    assert registry.entry("epa").options["variant"].default == "paper"


@pytest.mark.parametrize(
    ("options", "count"), [({}, 4 * 64**2 + 64 * 257 + 8 + 64 * 65), ({"size": (4, 8), "projection": 8}, 20816)]
)
def test_parameters(options: dict[str, Any], count: int) -> None:
    assert sum(weight.numel() for weight in registry.build("epa", 64, **options).parameters()) == count
    assert registry.build("epa", 64, dims=3).E.in_features == 16**3


def test_squares_do_not_overflow_in_half_precision() -> None:
    """A channel of length infinity would make its query zero, and every softmax flat."""
    block, x = registry.build("epa", 8, size=64), torch.full((1, 8, 64, 64), 4000.0)
    expected = block(x)
    torch.testing.assert_close(block.half()(x.half()).float(), expected, rtol=0.01, atol=10)


@pytest.mark.parametrize("ask", ["check_size", "forward"])
def test_another_map_is_told(ask: str) -> None:
    block = registry.build("epa", 8, size=(12, 20))
    block.check_size((12, 20))
    with pytest.raises(AttnzooError) as caught:
        getattr(block, ask)((20, 12) if ask == "check_size" else torch.ones(1, 8, 20, 12))
    assert str(caught.value) == ("`epa` cannot take a map of 20×12, bound to 12×20\nhint: write `size=(20, 12)`")


@pytest.mark.parametrize(
    ("channels", "options", "text"),
    [
        (64, {"size": 0}, "cannot be bound to size=0\nhint: give one edge, or 2 of them, from 1 up: `size=16`"),
        (64, {"size": (4,)}, "cannot be bound to size=(4,)\nhint: give one edge, or 2 of them, from 1 up: `size=16`"),
        (63, {"heads": 1}, "cannot halve 63 channels\nhint: place it where the width is even"),
        (10, {}, "cannot split 10 channels into heads=4\nhint: `heads` is `1`, `2`, `5` or `10`"),
        (64, {"projection": 0}, "cannot bring positions down to projection=0\nhint: `projection` is 1 or more"),
    ],
)
def test_impossible_options_are_told(channels: int, options: dict[str, Any], text: str) -> None:
    with pytest.raises(AttnzooError) as caught:
        registry.build("epa", channels, **options)
    assert str(caught.value) == f"`epa` {text}"
