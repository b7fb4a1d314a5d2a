"""What others' code does, written down once, so that what speed is measured against cannot drift: not to be mended."""

import torch
from torch import Tensor, nn


class EMA(nn.Module):
    """EMA as its authors compute it, operator by operator, with the parameter names of `attnzoo.blocks.ema`.

    In the layout (B·G, c, H, W): adaptive pooling to rows and to columns, both as one strip through the 1×1
    convolution, the gated map through a group norm, a 3×3 convolution from c to c channels, and each branch as a matrix
    product with the softmax of the other's pooled channels.
    """

    def __init__(self, channels: int, groups: int = 32) -> None:
        super().__init__()
        self.groups = groups
        width = channels // groups
        self.rows, self.columns = nn.AdaptiveAvgPool2d((None, 1)), nn.AdaptiveAvgPool2d((1, None))
        self.whole = nn.AdaptiveAvgPool2d((1, 1))
        self.softmax = nn.Softmax(-1)
        self.gn = nn.GroupNorm(width, width)
        self.conv1x1 = nn.Conv2d(width, width, 1)
        self.conv3x3 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        grouped = x.reshape(batch * self.groups, -1, height, width)
        strip = torch.cat([self.rows(grouped), self.columns(grouped).permute(0, 1, 3, 2)], dim=2)
        rows, columns = torch.split(self.conv1x1(strip), [height, width], dim=2)
        gated = self.gn(grouped * rows.sigmoid() * columns.permute(0, 1, 3, 2).sigmoid())
        near = self.conv3x3(grouped)
        of_gated, of_near = (
            self.softmax(self.whole(branch).reshape(batch * self.groups, -1, 1).permute(0, 2, 1))
            for branch in (gated, near)
        )
        flat_gated, flat_near = (branch.reshape(batch * self.groups, -1, height * width) for branch in (gated, near))
        factor = torch.matmul(of_gated, flat_near) + torch.matmul(of_near, flat_gated)
        factor = factor.reshape(batch * self.groups, 1, height, width)
        return (grouped * factor.sigmoid()).reshape(x.shape)
