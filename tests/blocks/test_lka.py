"""Large kernel attention's equations, as loops."""

import numpy as np
import pytest

from attnzoo import registry
from attnzoo.blocks.lka import LKA
from attnzoo.errors import AttnzooError

from .cases import fill, wave
from .naive import array
from .naive_grouped import convolve


@pytest.mark.parametrize(
    ("size", "options"),
    [((5, 8), {}), ((1, 1), {}), ((4, 6), {"kernel": 7, "dilation": 2}), ((2, 4, 3), {"kernel": 9})],
)
def test_equations(size: tuple[int, ...], options: dict[str, int]) -> None:
    block = LKA(3, dims=2 if len(size) == 2 else 3, **options).double()
    fill(block)
    x = wave(2, 3, *size)
    seen = [convolve(convolve(convolve(one, block.conv0), block.conv_spatial), block.conv1) for one in array(x)]
    np.testing.assert_allclose(array(block(x)), array(x) * np.array(seen), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "near", "far"),
    [({}, 5, 7), ({"kernel": 7, "dilation": 2}, 3, 3), ({"kernel": 28, "dilation": 4}, 7, 7)],
)
def test_taken_apart_as_in_the_paper(options: dict[str, int], near: int, far: int) -> None:
    block = LKA(4, **options)
    assert (block.conv0.kernel_size, block.conv_spatial.kernel_size) == ((near, near), (far, far))


@pytest.mark.parametrize(("options", "count"), [({}, 9024), ({"kernel": 7, "dilation": 2}, 64**2 + (10 + 10 + 1) * 64)])
def test_parameters(options: dict[str, int], count: int) -> None:
    assert sum(weight.numel() for weight in registry.build("lka", 64, **options).parameters()) == count


@pytest.mark.parametrize("options", [{"kernel": 20}, {"kernel": 0}, {"kernel": 2}, {"dilation": 0}, {"dilation": -3}])
def test_impossible_options_are_told(options: dict[str, int]) -> None:
    with pytest.raises(AttnzooError) as caught:
        registry.build("lka", 64, **options)
    kernel, dilation = options.get("kernel", 21), options.get("dilation", 3)
    assert str(caught.value) == (
        f"`lka` cannot take kernel={kernel} apart with dilation={dilation}\n"
        "hint: `kernel // dilation` is odd, such as 7 for 21 and 3, or 3 for 7 and 2"
    )
