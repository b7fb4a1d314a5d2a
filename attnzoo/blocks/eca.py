"""Efficient channel attention (ECA): Wang et al., CVPR 2020."""

import math
from typing import ClassVar, Literal

from torch import Tensor, nn

from attnzoo.errors import AttnzooError
from attnzoo.registry import check_form, register


@register(
    "eca",
    paper="Wang et al.: ECA-Net: Efficient Channel Attention for Deep Convolutional Neural Networks",
    year=2020,
    reference="https://arxiv.org/abs/1910.03151",
    code="https://github.com/BangguWu/ECANet",
    licence="MIT",
)
class ECA(nn.Module):
    """Scales each channel by one number, which the means of it and of its few neighbours decide.

    The means of all channels, in their order, go through one small convolution along the channels and a sigmoid. It has
    `kernel` parameters, and kernel·channels multiply-adds, whatever the map's size.

    Args:
        channels: Width of the skip.
        kernel: How many neighbouring channels are seen, odd; 3, as the authors' code has it. `adaptive` takes the
            paper's number for this width, (log2(channels) + 1) / 2 made whole and odd: 1 below 8 channels (timm takes 3
            there too), 3 for 8 to 127, 5 for 128 to 2047.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S.

    Reference:
        https://arxiv.org/abs/1910.03151; https://github.com/BangguWu/ECANet (MIT).

    Deviations:
        Follows the authors' code, in which the kernel is 3 whatever the width, where the paper adapts it (in their
        MobileNetV2 it is 1 up to 96 channels). The mean is written as a mean and not as adaptive pooling, which is
        equal. 3-D needs nothing but the mean over a third axis.
    """

    kind: ClassVar[Literal["scale"]] = "scale"

    def __init__(self, channels: int, *, kernel: int | Literal["adaptive"] = 3, dims: Literal[2, 3] = 2) -> None:
        super().__init__()
        check_form("eca", dims, channels=channels)
        if kernel == "adaptive":
            kernel = int((math.log2(channels) + 1) / 2) // 2 * 2 + 1
        if kernel < 1 or kernel % 2 == 0:
            raise AttnzooError(
                f"`eca` cannot centre kernel={kernel!r}",
                "a kernel is odd, such as 3 or 5, and `kernel=adaptive` takes the paper's for this width",
            )
        self.conv = nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights(x)

    def weights(self, x: Tensor) -> Tensor:
        means = x.mean(list(range(2, x.ndim)), keepdim=True)  # (B, C, 1, 1)
        mixed: Tensor = self.conv(means.flatten(2).transpose(1, 2))  # (B, 1, C)
        return mixed.transpose(1, 2).reshape(means.shape).sigmoid()  # (B, C, 1, 1)
