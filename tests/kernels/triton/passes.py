"""The forward passes, each by itself. Those of the backward pass are tested by what they find together."""

import pytest
import torch
from torch import Tensor, nn

from attnzoo.kernels.triton.applying import Apply
from attnzoo.kernels.triton.kept import Kept
from attnzoo.kernels.triton.launching import form
from attnzoo.kernels.triton.reading import Moments, Strips

from .ground import DEVICE, LAYOUTS, far


def drawn(*shape: int) -> Tensor:
    return torch.rand(*shape).to(DEVICE)


def joined(partial: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of pieces, as textbooks have it."""
    means, squares, counts = partial.double()
    total = counts.sum(0)
    mean = (means * counts).sum(0) / total
    return mean, (squares + counts * (means - mean).square()).sum(0) / total


@pytest.mark.parametrize("layout", LAYOUTS)
def test_sums_of_rows_and_columns(layout: str, small_pieces: None) -> None:
    torch.manual_seed(0)
    x = LAYOUTS[layout](torch.randn(2, 6, 5, 7).to(DEVICE))
    rows, columns = Strips(form(x))(x)
    assert far(rows.sum(0), x.double().sum(3)) < 1e-6
    assert far(columns.sum(0), x.double().sum(2)) < 1e-6


@pytest.mark.parametrize("layout", LAYOUTS)
def test_mean_and_variance(layout: str, small_pieces: None) -> None:
    torch.manual_seed(1)
    x, h, w = LAYOUTS[layout](torch.randn(1, 6, 5, 7).to(DEVICE)), drawn(1, 6, 5), drawn(1, 6, 7)
    y = x.double() * h[..., None] * w[:, :, None]
    mean, variance = joined(Moments(form(x))(x, h, w))
    assert far(mean, y.mean((2, 3))) < 1e-6
    assert far(variance, y.var((2, 3), correction=0)) < 1e-6


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_map(layout: str, small_pieces: None) -> None:
    torch.manual_seed(2)
    channels, groups = (6, 2) if layout == "channels_last" else (2, 1)
    x = LAYOUTS[layout](torch.randn(1, channels, 5, 6).to(DEVICE))
    taps, scale, mean = drawn(channels // groups, 3, 3) - 0.5, drawn(1, channels), drawn(1, channels)
    h, w, offset = drawn(1, channels, 5), drawn(1, channels, 6), drawn(1, groups)
    kept = Kept(h, w, h, w, mean, mean, mean, scale, offset, taps)
    found = Apply(form(x), groups)(x, kept)
    wide = x.double()
    near = nn.functional.conv2d(wide.view(groups, -1, 5, 6), taps.double()[None], padding=1).squeeze(1)
    y = scale[..., None, None] * (wide * h[..., None] * w[:, :, None] - mean[..., None, None])
    m = near + y.view(groups, -1, 5, 6).sum(1) + offset.view(-1, 1, 1)
    assert far(found, wide * m.sigmoid().repeat_interleave(channels // groups, 0)) < 1e-6
    assert found.stride() == torch.empty_like(x).stride()


def test_large_sums_overflow_no_half_type() -> None:
    x = torch.full((1, 1, 8, 8), 3e4, dtype=torch.float16, device=DEVICE)
    value, ones = float(x[0, 0, 0, 0]), torch.ones(1, 1, 8, device=DEVICE)
    rows, columns = Strips(form(x))(x)
    assert rows.unique().tolist() == columns.unique().tolist() == [8 * value]
    assert [float(one) for one in joined(Moments(form(x))(x, ones, ones))] == [value, 0]


def test_variance_is_centred(small_pieces: None) -> None:
    """E[y²] − E[y]² would give any number at all here."""
    torch.manual_seed(3)
    x = (torch.randn(1, 1, 6, 8) + 1e4).to(DEVICE)
    ones = [torch.ones(1, 1, side, device=DEVICE) for side in (6, 8)]
    assert far(joined(Moments(form(x))(x, *ones))[1], x.double().var((2, 3), correction=0)) < 1e-4
