"""A control: a convolution with as many parameters as another block."""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from attnzoo import spec
from attnzoo.blocks._parts import CONV
from attnzoo.errors import divisors
from attnzoo.registry import build_within, check_form, register

DEFAULT = spec.Chain((spec.Block("ema"),))
KERNELS = (1, 3, 5, 7)


@register("matched", paper="A control: a convolution of equal size", year=2026, reference="attnzoo", group="controls")
class Matched(nn.Module):
    """Convolves the skip, with as many parameters as another block has, as nearly as may be.

    Compared with that block, it tells attention from capacity. The channels are cut into groups of c, which share one
    convolution with a bias from c to c channels: k²c² + c parameters (k³c² + c in 3-D), of which the nearest to the
    block's count is taken, for c among the divisors of `channels` and k among 1, 3, 5 and 7; of two equally near, the
    larger kernel. All parameters of the block count, frozen ones too. A block without any is matched by the identity.
    The multiply-adds are k²·c per number of the skip. It hears no decoder, though the block may.

    Args:
        channels: Width of the skip.
        gate_channels: Width of the decoder's feature, if the block hears it: for its count alone.
        block: The one block to match, as in `[ema:groups=8]`.
        dims: Spatial dimensions, 2 or 3, if the block has a form for them.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S.

    Reference:
        attnzoo's own; no paper.

    Deviations:
        None.

    Attributes:
        kernel: The edge k that was taken; 0 where it is the identity.
        width: The channels of a group, c.
        target: Parameters of the block.
        difference: Parameters of the convolution, less the block's.
    """

    kind: ClassVar[Literal["mix"]] = "mix"
    listens: ClassVar[None] = None
    wraps: ClassVar[str] = "block"

    def __init__(
        self,
        channels: int,
        gate_channels: int | None = None,
        *,
        block: spec.Chain = DEFAULT,
        dims: Literal[2, 3] = 2,
    ) -> None:
        super().__init__()
        check_form("matched", dims, channels=channels)
        with torch.random.fork_rng(devices=[]):  # the convolution starts alike, whatever it is matched to
            counted = build_within("matched", block, channels, gate_channels, dims)
        self.matches = str(block.blocks[0])
        self.target = sum(weight.numel() for weight in counted.parameters())
        offers = [
            (abs(kernel**dims * width**2 + width - self.target), -kernel, width)
            for kernel in KERNELS
            for width in divisors(channels)
        ]
        _, edge, self.width = min(offers) if self.target else (0, 0, channels)
        self.kernel = -edge
        self.conv = (
            CONV[dims](self.width, self.width, self.kernel, padding=self.kernel // 2) if self.kernel else nn.Identity()
        )
        self.difference = sum(weight.numel() for weight in self.conv.parameters()) - self.target

    def forward(self, x: Tensor) -> Tensor:
        grouped = x.reshape(-1, self.width, *x.shape[2:])  # (B·C/c, c, *S)
        mixed: Tensor = self.conv(grouped)  # (B·C/c, c, *S)
        return mixed.reshape(x.shape)  # (B, C, *S)

    @property
    def remark(self) -> str:
        """How near the count is."""
        if not self.kernel:
            return f"no parameters, as `{self.matches}` has none: the identity"
        more = "more" if self.difference > 0 else "fewer"
        compared = (
            f"{abs(self.difference):,} {more} than `{self.matches}`'s {self.target:,}"
            if self.difference
            else f"as many as `{self.matches}` has"
        )
        channels = "1 channel" if self.width == 1 else f"{self.width} channels"
        return f"{self.target + self.difference:,} parameters, {compared} (kernel {self.kernel}, {channels} a group)"

    def extra_repr(self) -> str:
        return f"matches={self.matches}, kernel={self.kernel}, width={self.width}"
