"""SimAM, a simple attention module without parameters: Yang et al., ICML 2021."""

import math
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from attnzoo.blocks._parts import positions
from attnzoo.errors import AttnzooError
from attnzoo.kernels import fused
from attnzoo.registry import check_form, register


@register(
    "simam",
    paper="Yang et al.: SimAM: A Simple, Parameter-Free Attention Module for Convolutional Neural Networks",
    year=2021,
    reference="https://proceedings.mlr.press/v139/yang21o.html",
    code="https://github.com/ZjjConan/SimAM",
)
class SimAM(nn.Module):
    """Scales each value by how far it stands out from its channel: those at the mean by 0.62, those far off by up to 1.

    The importance of a value is its squared distance from its channel's mean over four times the channel's variance,
    plus a half: the inverse of an energy that has a closed form. The factor is its sigmoid. It has no parameters and
    no multiply-adds but a few for each value.

    Args:
        channels: Width of the skip; any.
        e_lambda: What is added to the variance, λ in the paper, above 0; 0.0001 is the authors' default.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S.

    Reference:
        https://proceedings.mlr.press/v139/yang21o.html; https://github.com/ZjjConan/SimAM (no licence).

    Deviations:
        In a map of one position the variance is zero, where the authors' code divides by zero. Squares are summed in
        float32 at least: half precision would overflow. 3-D needs nothing but the third axis.
    """

    kind: ClassVar[Literal["scale"]] = "scale"

    def __init__(self, channels: int, *, e_lambda: float = 1e-4, dims: Literal[2, 3] = 2) -> None:
        super().__init__()
        check_form("simam", dims, channels=channels)
        if not 0 < e_lambda < math.inf:
            raise AttnzooError(f"`simam` cannot divide with e_lambda={e_lambda}", "`e_lambda` is above 0, as 0.0001 is")
        self.e_lambda = e_lambda

    @fused("simam")
    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights(x)

    def weights(self, x: Tensor) -> Tensor:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        squares = (wide - self.means(wide)).square()  # (B, C, *S)
        importance = squares * self.inverse(squares) + 0.5  # (B, C, *S)
        return importance.sigmoid().to(x.dtype)

    def means(self, x: Tensor) -> Tensor:
        return x.mean(list(range(2, x.ndim)), keepdim=True)  # (B, C, 1, 1)

    def inverse(self, squares: Tensor) -> Tensor:
        """What a square about the mean is multiplied by: 1 over four times the variance and λ."""
        variance = squares.sum(list(range(2, squares.ndim)), keepdim=True) / max(positions(squares) - 1, 1)
        return 0.25 / (variance + self.e_lambda)  # (B, C, 1, 1)

    def extra_repr(self) -> str:
        return f"e_lambda={self.e_lambda}"
