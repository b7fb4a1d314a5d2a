"""The channel attention of DANet: Fu et al., CVPR 2019."""

from contextlib import nullcontext
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from attnzoo.registry import check_form, register


@register(
    "danet_channel",
    paper="Fu et al.: Dual Attention Network for Scene Segmentation",
    year=2019,
    reference="https://arxiv.org/abs/1809.02983",
    code="https://github.com/junfu1115/DANet",
    licence="MIT",
)
class DANetChannel(nn.Module):
    """Adds to each channel a mean over all channels, in which those that resemble it least weigh most.

    Channels are compared by their products over the whole map. The softmax, over all channels, of how far each stays
    below the largest product weighs them. What comes out is scaled by one learned number, 0 at the start, its only
    parameter: the block begins as the identity. It costs 2·channels² multiply-adds per position, and holds a map of
    channels×channels weights: any size of map will do.

    Args:
        channels: Width of the skip.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S.

    Reference:
        https://arxiv.org/abs/1809.02983; https://github.com/junfu1115/DANet (MIT).

    Deviations:
        Follows the authors' code: in the paper nothing is subtracted from the maximum, and alike channels weigh most.
        Products are taken in 32 bits under autocast too: neither scaled nor averaged, they overflow 16. 3-D is ours.
    """

    kind: ClassVar[Literal["add"]] = "add"

    def __init__(self, channels: int, *, dims: Literal[2, 3] = 2) -> None:
        super().__init__()
        check_form("danet_channel", dims, channels=channels)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.added(x)

    def added(self, x: Tensor) -> Tensor:
        # not every device knows autocast: `meta` does not
        kind = x.device.type
        with torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext():
            maps = x.flatten(2).to(torch.promote_types(x.dtype, torch.float32))  # (B, C, N)
            energy = maps @ maps.transpose(1, 2)  # (B, C, C)
            attention = (energy.amax(2, keepdim=True) - energy).softmax(2)  # (B, C, C)
            attended = attention @ maps  # (B, C, N)
        return self.gamma * attended.reshape(x.shape).to(x.dtype)  # (B, C, *S)
