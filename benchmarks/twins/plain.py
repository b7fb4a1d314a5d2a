"""What authors' code and tutorials do, operator by operator, written down once: not to be mended. See also `frozen`."""

import torch
from torch import Tensor, nn

from .. import frozen


class Gate(nn.Module):
    """The additive gate as the most used open implementation has it; the ReLU in place."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 2
        self.phi = nn.Sequential(nn.Conv2d(channels, inner, 1), nn.BatchNorm2d(inner))
        self.theta = nn.Sequential(nn.Conv2d(channels, inner, 1), nn.BatchNorm2d(inner))
        self.psi = nn.Sequential(nn.Conv2d(inner, 1, 1), nn.BatchNorm2d(1), nn.Sigmoid())
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor, gate: Tensor) -> Tensor:
        return x * self.psi(self.relu(self.phi(gate) + self.theta(x)))


class SCSE(nn.Module):
    """scSE, the larger of two scaled maps."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, channels // 2)
        self.fc2 = nn.Linear(channels // 2, channels)
        self.conv = nn.Conv2d(channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels = x.shape[:2]
        means = x.reshape(batch, channels, -1).mean(dim=2)
        factor = torch.sigmoid(self.fc2(torch.relu(self.fc1(means))))
        return torch.max(x * factor.view(batch, channels, 1, 1), x * torch.sigmoid(self.conv(x)))


class SimAM(nn.Module):
    """SimAM, its energy in one expression."""

    def forward(self, x: Tensor) -> Tensor:
        count = x.shape[2] * x.shape[3] - 1
        squares = (x - x.mean(dim=[2, 3], keepdim=True)).pow(2)
        y = squares / (4 * (squares.sum(dim=[2, 3], keepdim=True) / count + 1e-4)) + 0.5
        return x * torch.sigmoid(y)


class Triplet(nn.Module):
    """Triplet attention: the skip is turned and turned back, and scaled, three times."""

    def __init__(self) -> None:
        super().__init__()
        self.gates = nn.ModuleList(
            nn.Sequential(nn.Conv2d(2, 1, 7, padding=3, bias=False), nn.BatchNorm2d(1, momentum=0.01)) for _ in range(3)
        )

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = x.permute(0, 2, 1, 3).contiguous(), x.permute(0, 3, 2, 1).contiguous()
        by_rows = _scaled(rows, self.gates[1]).permute(0, 2, 1, 3).contiguous()
        by_columns = _scaled(columns, self.gates[2]).permute(0, 3, 2, 1).contiguous()
        return (1 / 3) * (_scaled(x, self.gates[0]) + by_rows + by_columns)


def _scaled(x: Tensor, gate: nn.Module) -> Tensor:
    pooled = torch.cat((torch.max(x, 1)[0].unsqueeze(1), torch.mean(x, 1).unsqueeze(1)), dim=1)
    return x * torch.sigmoid(gate(pooled))


class Model(nn.Module):
    """The paper's networks without attnzoo: a U-Net with a gate on each skip; or EMA before it, and at the bottom."""

    def __init__(self, widths: tuple[int, ...], *, ema: bool) -> None:
        super().__init__()
        *fine, deepest = widths
        self.encoder = nn.ModuleList(map(_convolutions, (3, *fine[:-1]), fine))
        self.bottleneck = _convolutions(fine[-1], deepest)
        self.pool = nn.MaxPool2d(2)
        self.emas = nn.ModuleList(frozen.EMA(width) if ema else nn.Identity() for width in widths)
        self.gates = nn.ModuleList(map(Gate, fine))
        self.upsampling = nn.ModuleList(
            nn.ConvTranspose2d(below, width, 2, stride=2) for below, width in zip(widths[1:], fine, strict=True)
        )
        self.decoder = nn.ModuleList(_convolutions(2 * width, width) for width in fine)
        self.head = nn.Conv2d(fine[0], 12, 1)

    def forward(self, x: Tensor) -> Tensor:
        features = []
        for stage in self.encoder:
            x = stage(x)
            features.append(x)
            x = self.pool(x)
        x = self.emas[-1](self.bottleneck(x))
        for level in reversed(range(len(features))):
            up = self.upsampling[level](x)
            skip = self.gates[level](self.emas[level](features[level]), up)
            x = self.decoder[level](torch.cat([skip, up], dim=1))
        return self.head(x)


def _convolutions(before: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )
