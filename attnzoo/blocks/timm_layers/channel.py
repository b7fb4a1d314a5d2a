"""timm's layers that weigh channels."""

from typing import ClassVar, Literal

from attnzoo.blocks.timm_layers._adapter import TimmLayer, timm_layer

ECA = (
    "Wang et al.: ECA-Net: Efficient Channel Attention for Deep Convolutional Neural Networks",
    2020,
    "https://arxiv.org/abs/1910.03151",
)
GC = (
    "Cao et al.: GCNet: Non-local Networks Meet Squeeze-Excitation Networks and Beyond",
    2019,
    "https://arxiv.org/abs/1904.11492",
)


@timm_layer("se", "Hu et al.: Squeeze-and-Excitation Networks", 2018, "https://arxiv.org/abs/1709.01507")
class TimmSE(TimmLayer):
    """Scales each channel by one number, which the means of all channels decide.

    Two dense layers with a bottleneck, as in attnzoo's `se`, but for the bottleneck's width b, which is rounded to a
    multiple of 8 and is 8 at least: 2·channels·b + channels + b parameters.
    """

    def __init__(self, channels: int, *, rd_ratio: float = 1 / 16, dims: Literal[2] = 2) -> None:
        super().__init__(channels, dims)
        self.check_share("rd_ratio", rd_ratio)
        self.build(rd_ratio=rd_ratio)


@timm_layer(
    "ese",
    "Lee and Park: CenterMask: Real-Time Anchor-Free Instance Segmentation",
    2020,
    "https://arxiv.org/abs/1911.06667",
)
class TimmESE(TimmLayer):
    """Scales each channel by one number, which the means of all channels decide, without a bottleneck.

    Effective squeeze-and-excitation: a single dense layer, channels² + channels parameters, and a hard sigmoid.
    """

    def __init__(self, channels: int, *, dims: Literal[2] = 2) -> None:
        super().__init__(channels, dims)
        self.build()


@timm_layer("eca", *ECA)
class TimmECA(TimmLayer):
    """Scales each channel by one number, which its own mean and those of its neighbours decide.

    One convolution along the channels, whose kernel grows with the logarithm of their number as in the paper (3 in the
    authors' code): as many parameters as its kernel is long.
    """

    def __init__(self, channels: int, *, dims: Literal[2] = 2) -> None:
        super().__init__(channels, dims)
        self.build()


@timm_layer("ecam", *ECA)
class TimmECAM(TimmLayer):
    """Scales each channel by one number, which its own mean and those of its neighbours decide, in two layers.

    An experiment of timm's, not in the paper: `timm_eca` with a hidden layer of b features for each channel, where b is
    `channels` · rd_ratio, rounded to a multiple of 8: b·(2 + k) + 1 parameters with a kernel of k.
    """

    def __init__(self, channels: int, *, rd_ratio: float = 1 / 8, dims: Literal[2] = 2) -> None:
        super().__init__(channels, dims)
        self.check_share("rd_ratio", rd_ratio)
        self.build(rd_ratio=rd_ratio)


@timm_layer("ceca", *ECA)
class TimmCECA(TimmLayer):
    """Scales each channel by one number, which its own mean and those of its neighbours decide, in a circle.

    A variant of timm's: `timm_eca` in which the last channel is the neighbour of the first. As many parameters.
    """

    def __init__(self, channels: int, *, dims: Literal[2] = 2) -> None:
        super().__init__(channels, dims)
        self.build()


@timm_layer(
    "ge",
    "Hu et al.: Gather-Excite: Exploiting Feature Context in Convolutional Neural Networks",
    2018,
    "https://arxiv.org/abs/1810.12348",
)
class TimmGE(TimmLayer):
    """Scales each position by what its neighbourhood holds in the same channel.

    Means over neighbourhoods, a perceptron with a bottleneck, a sigmoid, and back to the map's size. In timm 1.0.31 the
    perceptron cannot be built; without it, there are no parameters, and it is the paper's GE-θ⁻.
    """

    remedy: ClassVar[str] = "`use_mlp=False` leaves the broken perceptron out; attnzoo's `se` is what it would be"

    def __init__(self, channels: int, *, extent: int = 0, use_mlp: bool = True, dims: Literal[2] = 2) -> None:
        super().__init__(channels, dims)
        if extent < 0 or extent % 2:
            self.refuse(f"gather over extent={extent}", "0 is the whole map; any other extent is even, such as 2 or 4")
        self.build(extent=extent, use_mlp=use_mlp)


@timm_layer("gc", *GC)
class TimmGC(TimmLayer):
    """Scales each channel by one number, which an attention-weighted mean of the map decides.

    Multiplies where the paper adds, which is `timm_gca`; attnzoo's `gc` is the paper's. With a bottleneck of b =
    `channels` · rd_ratio it has about 2·channels·b parameters.
    """

    def __init__(self, channels: int, *, rd_ratio: float = 1 / 8, use_attn: bool = True, dims: Literal[2] = 2) -> None:
        super().__init__(channels, dims)
        self.check_share("rd_ratio", rd_ratio)
        self.build(rd_ratio=rd_ratio, use_attn=use_attn)


@timm_layer("gca", *GC)
class TimmGCA(TimmLayer):
    """Adds one number to each channel, which an attention-weighted mean of the map decides.

    The paper's global context block; the weights of its last layer start at zero, but not the biases. With a bottleneck
    of b = `channels` · rd_ratio it has about 2·channels·b parameters.
    """

    def __init__(self, channels: int, *, rd_ratio: float = 1 / 8, use_attn: bool = True, dims: Literal[2] = 2) -> None:
        super().__init__(channels, dims)
        self.check_share("rd_ratio", rd_ratio)
        self.build(rd_ratio=rd_ratio, use_attn=use_attn)
