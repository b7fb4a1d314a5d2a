"""The non-local block's equations, as loops, and timm's twin with our weights."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from timm.layers.non_local_attn import NonLocalAttn

from attnzoo import registry
from attnzoo.blocks.non_local import NonLocal
from attnzoo.errors import AttnzooError

from .cases import check_large_maps, fill, wave
from .naive import array, batch_norm, convolve, positions, softmax


def naive_pool(maps: np.ndarray, edge: int) -> np.ndarray:
    """Maxima over cells of one sample, (C, *S); a rest at the border is a cell."""
    cells = [[slice(start, start + edge) for start in range(0, size, edge)] for size in maps.shape[1:]]
    maxima = [maps[(slice(None), *cell)].max(tuple(range(1, maps.ndim))) for cell in itertools.product(*cells)]
    return np.stack(maxima, 1).reshape(len(maps), *map(len, cells))


def naive_non_local(maps: np.ndarray, block: NonLocal, pool: int, divisor: float) -> np.ndarray:
    """One sample, (C, *S)."""
    pooled = naive_pool(maps, pool)
    theta, phi, g = convolve(maps, block.theta), convolve(pooled, block.phi), convolve(pooled, block.g)
    every, attended = [(slice(None), *at) for at in positions(pooled)], np.empty_like(theta)
    for at in positions(maps):
        here = (slice(None), *at)
        shares = softmax([np.dot(theta[here], phi[there]) / divisor for there in every])
        attended[here] = sum(share * g[there] for share, there in zip(shares, every, strict=True))
    return maps + batch_norm(convolve(attended, block.W[0]), block.W[1])


@pytest.mark.parametrize("variant", ["authors", "paper"])
@pytest.mark.parametrize(("size", "pool"), [((3, 4), 1), ((3, 4), 2), ((1, 1), 2), ((2, 3, 2), 1), ((3, 2, 4), 2)])
def test_equations(size: tuple[int, ...], pool: int, variant: Any) -> None:
    block = NonLocal(4, inner=3, pool=pool, variant=variant, dims=2 if len(size) == 2 else 3).double().eval()
    fill(block)
    x = wave(2, 4, *size)
    divisor = 3**0.5 if variant == "authors" else 1.0
    expected = np.array([naive_non_local(sample, block, pool, divisor) for sample in array(x)])
    np.testing.assert_allclose(array(block(x)), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("scaled", [True, False])
def test_agrees_with_timm(scaled: bool) -> None:
    """timm divides by the root of the whole width, where the authors take that of the inner one."""
    block = NonLocal(64, inner=8, variant="authors" if scaled else "paper").double().eval()
    twin = NonLocalAttn(64, use_scale=scaled).double().eval()
    fill(block)
    ours = block.state_dict()
    state = {key.replace("theta", "t").replace("phi", "p"): value.clone() for key, value in ours.items()}
    state = {key.replace("W.0", "z").replace("W.1", "norm"): value for key, value in state.items()}
    for key in ("t.weight", "t.bias"):
        state[key] *= (64 / 8) ** 0.5 if scaled else 1.0
    twin.load_state_dict(state)
    x = wave(2, 64, 5, 7)
    torch.testing.assert_close(block(x), twin(x))


def test_starts_as_the_identity_in_training_too() -> None:
    x = torch.randn(2, 8, 5, 7)
    assert torch.equal(NonLocal(8)(x), x)
    assert NonLocal(8, pool=2)(x[:1, :, :1, :1]).isfinite().all()


def test_large_maps_keep_the_output_and_up_to_a_hundred_the_gradient() -> None:
    """As *Deviations* says; beyond, the fused backward pass is off, and only the output is right."""
    torch.manual_seed(0)
    block = NonLocal(64).eval()
    torch.nn.init.ones_(block.W[1].weight)
    check_large_maps(block)


@pytest.mark.parametrize(
    ("channels", "options", "count"), [(64, {}, 8480), (64, {"inner": 8}, 2264), (64, {"pool": 2}, 8480), (1, {}, 10)]
)
def test_parameters(channels: int, options: dict[str, int], count: int) -> None:
    assert sum(weight.numel() for weight in registry.build("non_local", channels, **options).parameters()) == count


def test_too_many_positions_are_told_with_the_option() -> None:
    block = NonLocal(8)
    block.check_size((128, 128))
    NonLocal(8, positions=65536).check_size((256, 256))
    with pytest.raises(AttnzooError) as caught:
        block.check_size((32, 32, 32))
    assert str(caught.value) == (
        "`non_local` cannot relate the 32768 positions of a map of 32×32×32 with positions=16384\n"
        "hint: place it at a coarser level, or write `positions=32768`: its time grows with the square"
    )


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"inner": 0}, "`non_local` cannot compare inner=0 channels\nhint: `inner` is 1 or more"),
        ({"pool": 0}, "`non_local` cannot pool by pool=0\nhint: `pool` is 1 or more"),
        ({"positions": 0}, "`non_local` cannot relate positions=0\nhint: `positions` is 1 or more"),
    ],
)
def test_impossible_options_are_told(options: dict[str, int], text: str) -> None:
    with pytest.raises(AttnzooError) as caught:
        registry.build("non_local", 64, **options)
    assert str(caught.value) == text
