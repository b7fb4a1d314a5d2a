"""Large separable kernel attention's equations, as loops; and `lka`, where its kernels are products."""

import numpy as np
import pytest
import torch

from attnzoo import registry
from attnzoo.blocks.lka import LKA
from attnzoo.blocks.lska import LSKA
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import array
from .naive_grouped import chain, convolve


@pytest.mark.parametrize(("size", "kernel"), [((5, 9), 23), ((6, 4), 7), ((1, 1), 11), ((2, 4, 3), 7)])
def test_equations(size: tuple[int, ...], kernel: int) -> None:
    block = LSKA(3, kernel=kernel, dims=2 if len(size) == 2 else 3).double()
    fill(block)
    x = wave(2, 3, *size)
    seen = [convolve(chain(chain(one, block.conv0), block.conv_spatial), block.conv1) for one in array(x)]
    np.testing.assert_allclose(array(block(x)), array(x) * np.array(seen), rtol=1e-10, atol=1e-12)


def test_is_lka_where_the_kernels_are_products_of_rows_and_columns() -> None:
    block, whole = LSKA(4).double(), LKA(4, kernel=23).double()
    fill(block)
    whole.conv1.load_state_dict(block.conv1.state_dict())
    for strips, square in ((block.conv0, whole.conv0), (block.conv_spatial, whole.conv_spatial)):
        for layer in (*strips, square):
            torch.nn.init.zeros_(layer.bias)
        with torch.no_grad():
            square.weight.copy_(strips[0].weight * strips[1].weight)
    x = wave(2, 4, 20, 25)
    torch.testing.assert_close(block(x), whole(x))


@pytest.mark.parametrize(
    ("kernel", "near", "far", "dilation"),
    [(7, 3, 3, 2), (11, 3, 5, 2), (23, 5, 7, 3), (35, 5, 11, 3), (41, 5, 13, 3), (53, 5, 17, 3)],
)
def test_parameters_and_lengths(kernel: int, near: int, far: int, dilation: int) -> None:
    block = registry.build("lska", 64, kernel=kernel)
    assert [layer.kernel_size for layer in block.conv0] == [(1, near), (near, 1)]
    assert [layer.kernel_size for layer in block.conv_spatial] == [(1, far), (far, 1)]
    assert block.conv_spatial[0].dilation == (dilation, dilation)
    count = sum(weight.numel() for weight in block.parameters())
    assert count == 64**2 + 64 * (2 * near + 2 * far + 5)
    assert count == 5440 or kernel != 11


def test_impossible_kernels_are_told() -> None:
    with pytest.raises(AttnzooError) as caught:
        registry.build("lska", 64, kernel=21)
    assert str(caught.value) == (
        "`lska` cannot take kernel=21 apart\nhint: possible is `7`, `11`, `23`, `35`, `41` or `53`"
    )
