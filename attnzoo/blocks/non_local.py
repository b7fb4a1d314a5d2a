"""The non-local block: Wang et al., CVPR 2018."""

import math
from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from attnzoo.blocks._parts import BATCH_NORM, CONV
from attnzoo.errors import AttnzooError
from attnzoo.registry import check_form, register

_POOL: dict[int, type[nn.MaxPool2d] | type[nn.MaxPool3d]] = {2: nn.MaxPool2d, 3: nn.MaxPool3d}


@register(
    "non_local",
    paper="Wang et al.: Non-local Neural Networks",
    year=2018,
    reference="https://arxiv.org/abs/1711.07971",
    code="https://github.com/facebookresearch/video-nonlocal-net",
    licence="CC-BY-NC-4.0",
)
class NonLocal(nn.Module):
    """Adds to each position a projected mean over all positions, in which those that resemble it weigh most.

    The embedded Gaussian form: 1×1 convolutions theta, phi and g give every position a query, a key and a value of
    `inner` channels; the softmax, over all positions, of a query's products with the keys weighs the values. A 1×1
    convolution and a batch norm follow, whose scale starts at 0: the block begins as the identity. With the default
    `inner` it has about 2·channels² parameters; the bias of phi, which a softmax cannot see, never learns. With N
    positions it costs channels·N² multiply-adds: four times the positions, sixteen times the work. The N×N weights
    themselves are never held where torch has a fused kernel, so that memory grows with N only.

    Args:
        channels: Width of the skip.
        inner: Width of queries, keys and values, from 1 up; None, as in the paper, is half of `channels` (1 at least).
        pool: Keys and values come from a map whose edges are so many times smaller, by its maxima, from 1 up. The paper
            offers this to save work and used 2 in its networks; its equations, and most open implementations, have 1.
        variant: `authors` divides the products by the square root of `inner`, as their code and most others do; `paper`
            does not.
        positions: The largest number of positions that `check_size` takes, from 1 up, which changes nothing else;
            16384 is a map of 128×128, on which a forward pass costs about 3·10¹⁰ multiply-adds at 128 channels.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S; rehearsal refuses more than `positions`.

    Reference:
        https://arxiv.org/abs/1711.07971; https://github.com/facebookresearch/video-nonlocal-net (CC-BY-NC-4.0).

    Deviations:
        The default follows the authors' code but for its pooling, see `pool`. Pooling keeps a rest at the border, where
        theirs drops it and fails on maps smaller than `pool`; it pools all axes, theirs never time. Where a channel has
        one value in a batch, the norm takes the running statistics. Weights start as PyTorch's layers do, and not from
        a normal distribution. The backward pass of torch's fused attention takes the weights anew from the queries'
        products with the keys, and is inexact where these are huge: on a CPU the gradient of x is right within
        3·10⁻³ on standard normal maps times 100, off by 4 to 40 % on such times 1000, and of no use beyond.
    """

    kind: ClassVar[Literal["add"]] = "add"

    def __init__(
        self,
        channels: int,
        *,
        inner: int | None = None,
        pool: int = 1,
        variant: Literal["authors", "paper"] = "authors",
        positions: int = 128 * 128,
        dims: Literal[2, 3] = 2,
    ) -> None:
        super().__init__()
        check_form("non_local", dims, channels=channels)
        if inner is None:
            inner = max(1, channels // 2)
        if inner < 1:
            raise AttnzooError(f"`non_local` cannot compare inner={inner} channels", "`inner` is 1 or more")
        if pool < 1:
            raise AttnzooError(f"`non_local` cannot pool by pool={pool}", "`pool` is 1 or more")
        if positions < 1:
            raise AttnzooError(f"`non_local` cannot relate positions={positions}", "`positions` is 1 or more")
        self.positions = positions
        self.scale = inner**-0.5 if variant == "authors" else 1.0
        self.pool = nn.Identity() if pool == 1 else _POOL[dims](pool, ceil_mode=True)
        self.theta = CONV[dims](channels, inner, 1)
        self.phi = CONV[dims](channels, inner, 1)
        self.g = CONV[dims](channels, inner, 1)
        self.W = nn.Sequential(CONV[dims](inner, channels, 1), norm := BATCH_NORM[dims](channels))
        nn.init.zeros_(norm.weight)

    def check_size(self, size: tuple[int, ...]) -> None:
        """Refuse a map of more than `positions`."""
        if math.prod(size) > self.positions:
            raise AttnzooError(
                f"`non_local` cannot relate the {math.prod(size)} positions of a map of {'×'.join(map(str, size))}"
                f" with positions={self.positions}",
                f"place it at a coarser level, or write `positions={math.prod(size)}`: its time grows with the square",
            )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.added(x)

    def added(self, x: Tensor) -> Tensor:
        theta, pooled = self.theta(x), self.pool(x)  # (B, inner, *S), (B, C, *⌈S/pool⌉)
        query, key, value = map(_tokens, (theta, self.phi(pooled), self.g(pooled)))  # (B, 1, N, inner), N/poolᵈ for two
        attended = F.scaled_dot_product_attention(query, key, value, scale=self.scale)  # (B, 1, N, inner)
        added: Tensor = self.W(attended.transpose(2, 3).reshape(theta.shape))  # (B, C, *S)
        return added


def _tokens(maps: Tensor) -> Tensor:
    """(B, C, *S) → (B, 1, N, C): one head, and each position's vector in one piece, as fused kernels want it."""
    return maps.flatten(2).transpose(1, 2).unsqueeze(1).contiguous()
