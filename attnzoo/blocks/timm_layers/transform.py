"""timm's layers that make a new map: convolutions with attention in them, and self-attention."""

import math
from typing import Literal

from attnzoo.blocks.timm_layers._adapter import BoundLayer, TimmLayer, timm_layer

POSITIONS = 128 * 128
AT_MOST = f"place it where a map has at most {POSITIONS}, or take `non_local` or `danet_position`"
MULTIPLES = "maps whose edges are multiples of `block_size`"


@timm_layer("sk", "Li et al.: Selective Kernel Networks", 2019, "https://arxiv.org/abs/1903.06586")
class TimmSK(TimmLayer):
    """Makes a new map by convolutions of two sizes, and chooses between them, channel by channel.

    A 3×3 and a 5×5 (a dilated 3×3), each on half of the channels, each with a norm and a ReLU; a softmax over the means
    chooses. About 9·channels² parameters. In training its batch norm on means needs two samples.
    """

    def __init__(
        self,
        channels: int,
        *,
        rd_ratio: float = 1 / 16,
        keep_3x3: bool = True,
        split_input: bool = True,
        dims: Literal[2] = 2,
    ) -> None:
        super().__init__(channels, dims)
        self.check_share("rd_ratio", rd_ratio)
        if split_input and channels % 2:
            self.refuse(f"split {channels} channels between two branches", "`split_input=False` gives all to both")
        self.build(rd_ratio=rd_ratio, keep_3x3=keep_3x3, split_input=split_input)


@timm_layer("splat", "Zhang et al.: ResNeSt: Split-Attention Networks", 2020, "https://arxiv.org/abs/2004.08955")
class TimmSplat(TimmLayer):
    """Makes a new map by several convolutions of one size, and chooses between them, channel by channel.

    A grouped 3×3 gives `radix` branches; a perceptron on their mean and a softmax choose. About 9·channels² parameters
    for the convolution, and some channels² for the choice. No norm.
    """

    def __init__(
        self, channels: int, *, radix: int = 2, kernel_size: int = 3, rd_ratio: float = 0.25, dims: Literal[2] = 2
    ) -> None:
        super().__init__(channels, dims)
        self.check_divisor("radix", radix)
        self.check_odd("kernel_size", kernel_size)
        self.check_share("rd_ratio", rd_ratio)
        self.build(radix=radix, kernel_size=kernel_size, rd_ratio=rd_ratio)


@timm_layer(
    "lambda",
    "Bello: LambdaNetworks: Modeling Long-Range Interactions Without Attention",
    2021,
    "https://arxiv.org/abs/2102.08602",
)
class TimmLambda(TimmLayer):
    """Makes a new map of linear functions of each position, which the whole map and the neighbourhood decide.

    Self-attention without an attention matrix: keys and values are summed up into a small matrix, to which a
    convolution over r×r positions adds one for each position; the queries are multiplied by them. Its memory grows with
    positions · dim_head · channels / num_heads.
    """

    def __init__(
        self, channels: int, *, num_heads: int = 4, dim_head: int = 16, r: int = 9, dims: Literal[2] = 2
    ) -> None:
        super().__init__(channels, dims)
        self.check_divisor("num_heads", num_heads)
        self.check_positive("dim_head", dim_head)
        self.check_odd("r", r)
        self.build(num_heads=num_heads, dim_head=dim_head, r=r)


@timm_layer(
    "bottleneck",
    "Srinivas et al.: Bottleneck Transformers for Visual Recognition",
    2021,
    "https://arxiv.org/abs/2101.11605",
    where="maps of `feat_size` alone",
)
class TimmBottleneck(BoundLayer):
    """Makes a new map by self-attention between all positions, with embeddings of how far apart they are.

    It is bound to one map size, which `check_size` tells, and memory grows with the square of the positions. About
    3·channels² parameters.
    """

    def __init__(
        self, channels: int, *, feat_size: tuple[int, int] = (16, 16), num_heads: int = 4, dims: Literal[2] = 2
    ) -> None:
        super().__init__(channels, dims)
        for edge in feat_size:
            self.check_positive("feat_size", edge)
        self.check_divisor("num_heads", num_heads)
        self.feat_size = feat_size
        self.build(feat_size=feat_size, num_heads=num_heads)

    def check_size(self, size: tuple[int, ...]) -> None:
        """Refuse any map but of the size that it was built for."""
        if size != self.feat_size:
            (height, width), (asked, wide) = self.feat_size, size
            self.refuse(
                f"take a map of {asked}×{wide}, built for feat_size=({height},{width})",
                f"say `feat_size=({asked},{wide})`",
            )


@timm_layer(
    "halo",
    "Vaswani et al.: Scaling Local Self-Attention for Parameter Efficient Visual Backbones",
    2021,
    "https://arxiv.org/abs/2103.12731",
    where=MULTIPLES,
)
class TimmHalo(BoundLayer):
    """Makes a new map by self-attention between the positions of a block and those in and around it.

    The map's edges must be multiples of the block's, which `check_size` tells. About 3·channels² parameters.
    """

    def __init__(
        self, channels: int, *, num_heads: int = 8, block_size: int = 8, halo_size: int = 3, dims: Literal[2] = 2
    ) -> None:
        super().__init__(channels, dims)
        self.check_divisor("num_heads", num_heads)
        self.check_positive("block_size", block_size)
        if halo_size < 0:
            self.refuse(f"look halo_size={halo_size} beyond a block", "`halo_size` is 0 or more")
        self.block_size = block_size
        self.build(num_heads=num_heads, block_size=block_size, halo_size=halo_size)

    def check_size(self, size: tuple[int, ...]) -> None:
        """Refuse a map that cannot be cut into blocks."""
        self.check_multiple(size, self.block_size)


@timm_layer("nl", "Wang et al.: Non-local Neural Networks", 2018, "https://arxiv.org/abs/1711.07971")
class TimmNL(TimmLayer):
    """Adds to each position a mean of all positions, weighted by how similar they are.

    Embedded Gaussian similarities through a bottleneck of `channels` · rd_ratio, and a batch norm that starts at zero,
    so that the skip is unchanged at the start. Memory grows with the square of the positions, since timm keeps the
    weights of all pairs: `check_size` refuses more than 16384, a map of 128×128 and 1 GiB an image in float32.
    """

    def __init__(self, channels: int, *, rd_ratio: float = 1 / 8, use_scale: bool = True, dims: Literal[2] = 2) -> None:
        super().__init__(channels, dims)
        self.check_share("rd_ratio", rd_ratio)
        self.build(rd_ratio=rd_ratio, use_scale=use_scale)

    def check_size(self, size: tuple[int, ...]) -> None:
        """Refuse a map whose pairs of positions fill a GPU."""
        if math.prod(size) > POSITIONS:
            self.refuse(f"relate the {math.prod(size)} positions of a map of {'×'.join(map(str, size))}", AT_MOST)


@timm_layer(
    "bat",
    "Chi et al.: Non-Local Neural Networks With Grouped Bilinear Attentional Transforms",
    2020,
    "https://openaccess.thecvf.com/content_CVPR_2020/html/Chi_Non-Local_Neural_Networks_With_Grouped_Bilinear_"
    "Attentional_Transforms_CVPR_2020_paper.html",
    where=MULTIPLES,
)
class TimmBAT(BoundLayer):
    """Adds to the skip what two matrices, one over its rows and one over its columns, make of it.

    The matrices are drawn from the map itself, pooled to `block_size`, of which the map's edges must be multiples:
    `check_size` tells. Inner width is `channels` · rd_ratio, rounded to a multiple of 8.
    """

    def __init__(
        self,
        channels: int,
        *,
        block_size: int = 7,
        groups: int = 2,
        rd_ratio: float = 0.25,
        drop_rate: float = 0.2,
        dims: Literal[2] = 2,
    ) -> None:
        super().__init__(channels, dims)
        self.check_positive("block_size", block_size)
        self.check_positive("groups", groups)
        self.check_share("rd_ratio", rd_ratio)
        self.block_size = block_size
        self.build(block_size=block_size, groups=groups, rd_ratio=rd_ratio, drop_rate=drop_rate)
        self.check_divisor("groups", groups, self.attn.conv1.conv.out_channels)  # type: ignore[union-attr, arg-type]

    def check_size(self, size: tuple[int, ...]) -> None:
        """Refuse a map that cannot be cut into blocks."""
        self.check_multiple(size, self.block_size)
