"""External attention (EANet): Guo et al., arXiv 2021, TPAMI 2022."""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attnzoo.blocks._parts import BATCH_NORM, CONV
from attnzoo.errors import AttnzooError
from attnzoo.registry import check_form, register


@register(
    "external",
    paper="Guo et al.: Beyond Self-attention: External Attention using Two Linear Layers for Visual Tasks",
    year=2021,
    reference="https://arxiv.org/abs/2105.02358",
    code="https://github.com/MenghaoGuo/EANet",
)
class External(nn.Module):
    """Adds to each position a mixture of learned memories, by how it resembles each, and cuts off what is negative.

    After a 1×1 convolution every position is compared with the keys of a small memory that all samples share. The
    likenesses are normalised twice: by a softmax over the positions, and then to the sum 1 over the memory. They weigh
    the memory's values; a 1×1 convolution, a batch norm, the skip and a ReLU follow. It has 2·channels² +
    2·channels·memory + 3·channels parameters, of which the first convolution's bias, which a softmax cannot see, never
    learns, and nearly as many multiply-adds per position: linear in the size of the map, which needs no cap.

    Args:
        channels: Width of the skip.
        memory: How many keys and values there are, from 1 up; 64 is the paper's value.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S.

    Reference:
        https://arxiv.org/abs/2105.02358; https://github.com/MenghaoGuo/EANet (no licence).

    Deviations:
        Follows the authors' code, which puts convolutions, norm, skip and ReLU around the paper's equations. The values
        start equal to the keys, as there, but weights as PyTorch's layers do, and not from a normal distribution.
        Likenesses are normalised in
        32 bits: among many positions most softmaxes vanish in 16, and so would the sum divided by. 3-D is ours.
    """

    kind: ClassVar[Literal["mix"]] = "mix"

    def __init__(self, channels: int, *, memory: int = 64, dims: Literal[2, 3] = 2) -> None:
        super().__init__()
        check_form("external", dims, channels=channels)
        if memory < 1:
            raise AttnzooError(f"`external` cannot remember memory={memory} vectors", "`memory` is 1 or more")
        self.conv1 = CONV[dims](channels, channels, 1)
        self.linear_0 = nn.Conv1d(channels, memory, 1, bias=False)
        self.linear_1 = nn.Conv1d(memory, channels, 1, bias=False)
        self.conv2 = nn.Sequential(CONV[dims](channels, channels, 1, bias=False), BATCH_NORM[dims](channels))
        with torch.no_grad():
            self.linear_1.weight.copy_(self.linear_0.weight.transpose(0, 1))

    def forward(self, x: Tensor) -> Tensor:
        likeness = self.linear_0(self.conv1(x).flatten(2))  # (B, M, N)
        attention = likeness.to(torch.promote_types(x.dtype, torch.float32)).softmax(2)
        attention = attention / (attention.sum(1, keepdim=True) + 1e-9)  # (B, M, N)
        remembered = self.linear_1(attention.to(likeness.dtype)).reshape(x.shape)  # (B, C, *S)
        # a ReLU that keeps its input, and not its result, for the gradient: what follows may work in place
        return F.threshold(x + self.conv2(remembered), 0.0, 0.0)
