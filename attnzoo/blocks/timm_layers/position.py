"""timm's layers that weigh positions, most of them channels too."""

from typing import Literal

from attnzoo.blocks.timm_layers._adapter import TimmLayer, timm_layer

CBAM = ("Woo et al.: CBAM: Convolutional Block Attention Module", 2018, "https://arxiv.org/abs/1807.06521")
COORD = (
    "Hou et al.: Coordinate Attention for Efficient Mobile Network Design",
    2021,
    "https://arxiv.org/abs/2103.02907",
)


@timm_layer("cbam", *CBAM)
class TimmCBAM(TimmLayer):
    """Scales each channel by one number, and then each position by another.

    As attnzoo's `cbam`, without biases in the perceptron, and with mean before maximum: about 2·channels²·rd_ratio
    parameters, and 2·spatial_kernel_size² for the positions.
    """

    def __init__(
        self, channels: int, *, rd_ratio: float = 1 / 16, spatial_kernel_size: int = 7, dims: Literal[2] = 2
    ) -> None:
        super().__init__(channels, dims)
        self.check_share("rd_ratio", rd_ratio)
        self.check_odd("spatial_kernel_size", spatial_kernel_size)
        self.build(rd_ratio=rd_ratio, spatial_kernel_size=spatial_kernel_size)


@timm_layer("lcbam", *CBAM)
class TimmLCBAM(TimmLayer):
    """Scales each channel by one number, and then each position by another, both from a single pooled map.

    An experiment of timm's: CBAM on the average of mean and maximum. About 2·channels²·rd_ratio parameters, and
    spatial_kernel_size² for the positions.
    """

    def __init__(
        self, channels: int, *, rd_ratio: float = 1 / 16, spatial_kernel_size: int = 7, dims: Literal[2] = 2
    ) -> None:
        super().__init__(channels, dims)
        self.check_share("rd_ratio", rd_ratio)
        self.check_odd("spatial_kernel_size", spatial_kernel_size)
        self.build(rd_ratio=rd_ratio, spatial_kernel_size=spatial_kernel_size)


@timm_layer("coord", *COORD)
class TimmCoord(TimmLayer):
    """Scales each position by what its row and its column hold.

    As attnzoo's `coord`, without biases, and with a bottleneck b of `channels` · rd_ratio · 2/3, rounded to a multiple
    of 8: 3·channels·b + 2·b parameters.
    """

    def __init__(
        self, channels: int, *, rd_ratio: float = 1 / 16, has_skip: bool = False, dims: Literal[2] = 2
    ) -> None:
        super().__init__(channels, dims)
        self.check_share("rd_ratio", rd_ratio)
        self.build(rd_ratio=rd_ratio, has_skip=has_skip)


@timm_layer("scoord", *COORD)
class TimmSCoord(TimmLayer):
    """Scales each position by what its row and its column hold, with one sigmoid over their sum.

    A simplification of timm's: no norm, and dense layers with biases. With a bottleneck of b = `channels` · rd_ratio ·
    2/3, rounded to a multiple of 8, it has about 3·channels·b parameters.
    """

    def __init__(self, channels: int, *, rd_ratio: float = 0.25, has_skip: bool = False, dims: Literal[2] = 2) -> None:
        super().__init__(channels, dims)
        self.check_share("rd_ratio", rd_ratio)
        self.build(rd_ratio=rd_ratio, has_skip=has_skip)


@timm_layer(
    "ela",
    "Xu and Wan: ELA: Efficient Local Attention for Deep Convolutional Neural Networks",
    2024,
    "https://arxiv.org/abs/2403.01123",
)
class TimmELA(TimmLayer):
    """Scales each position by what the rows and the columns near it hold, channel by channel.

    Depthwise convolutions along the means of rows and of columns, each with weights of its own, then a norm over all
    channels, SiLU and a sigmoid: 2·channels·kernel_size + 4·channels parameters.
    """

    def __init__(self, channels: int, *, kernel_size: int = 7, has_skip: bool = False, dims: Literal[2] = 2) -> None:
        super().__init__(channels, dims)
        self.check_odd("kernel_size", kernel_size)
        self.build(kernel_size=kernel_size, has_skip=has_skip)


@timm_layer("strip", f"timm's own, after {COORD[0]}", 2025, COORD[2])
class TimmStrip(TimmLayer):
    """Scales each position by what the rows and the columns near it hold, channel by channel, without a norm.

    Depthwise convolutions along the means of rows and of columns, and a sigmoid over their sum: 2·channels·kernel_size
    parameters. Minimal strip attention is timm's own, without a paper.
    """

    def __init__(self, channels: int, *, kernel_size: int = 3, has_skip: bool = False, dims: Literal[2] = 2) -> None:
        super().__init__(channels, dims)
        self.check_odd("kernel_size", kernel_size)
        self.build(kernel_size=kernel_size, has_skip=has_skip)
