"""Context anchor attention (CAA), of PKINet: Cai et al., CVPR 2024."""

from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from attnzoo.blocks._parts import BATCH_NORM, CONV, strip_chain
from attnzoo.errors import AttnzooError
from attnzoo.registry import check_form, register


@register(
    "caa",
    paper="Cai et al.: Poly Kernel Inception Network for Remote Sensing Detection",
    year=2024,
    reference="https://arxiv.org/abs/2403.06258",
    code="https://github.com/NUST-Machine-Intelligence-Laboratory/PKINet",
    licence="Apache-2.0",
)
class CAA(nn.Module):
    """Scales each value by a number from 0 to 1, which means of a neighbourhood, along long strips, decide.

    A 7×7 average pooling, a 1×1 convolution, a depthwise row, a depthwise column and another 1×1 convolution; both 1×1
    convolutions have a batch norm and a SiLU behind them, and a sigmoid ends. It has 2·channels² + 28·channels
    parameters, and 2·channels² + 22·channels multiply-adds a position.

    Args:
        channels: Width of the skip.
        kernel: Length of the strips, odd; 11 is the paper's for its first block, and each next one has 2 more.
        pool: Edge of the average pooling, odd; 7 is the paper's value.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S.

    Reference:
        https://arxiv.org/abs/2403.06258; https://github.com/NUST-Machine-Intelligence-Laboratory/PKINet (Apache-2.0).

    Deviations:
        Their module returns the factor, and its caller multiplies: here it is applied to what it was made from, where
        in their network it is applied to another branch. As in their code, zeros beyond the border count in the means,
        and the norms have momentum 0.03 and epsilon 0.001. 3-D is ours: a third strip, along the depth, comes last.
    """

    kind: ClassVar[Literal["scale"]] = "scale"

    def __init__(self, channels: int, *, kernel: int = 11, pool: int = 7, dims: Literal[2, 3] = 2) -> None:
        super().__init__()
        check_form("caa", dims, channels=channels)
        for option, edge in (("kernel", kernel), ("pool", pool)):
            if edge < 1 or edge % 2 == 0:
                raise AttnzooError(f"`caa` cannot centre {option}={edge}", f"`{option}` is odd, such as 7 or 11")
        self.pool = pool
        self.conv1 = _mix(channels, dims)
        self.strips = strip_chain(channels, kernel, dims)
        self.conv2 = _mix(channels, dims)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights(x)

    def weights(self, x: Tensor) -> Tensor:
        means = _means(x, self.pool)  # (B, C, *S)
        factor: Tensor = self.conv2(self.strips(self.conv1(means))).sigmoid()  # (B, C, *S)
        return factor


def _mix(channels: int, dims: int) -> nn.Sequential:
    norm = BATCH_NORM[dims](channels, momentum=0.03, eps=1e-3)
    return nn.Sequential(CONV[dims](channels, channels, 1, bias=False), norm, nn.SiLU())


def _means(x: Tensor, edge: int) -> Tensor:
    """Average pooling, two axes at a time: PyTorch's in 3-D has no deterministic gradient on CUDA."""
    if x.ndim == 5:
        x = F.avg_pool2d(x.flatten(3), (edge, 1), 1, (edge // 2, 0)).reshape(x.shape)
    planes = x.flatten(1, -3)  # (B, C or C·D, H, W)
    return F.avg_pool2d(planes, edge, 1, edge // 2).reshape(x.shape)
