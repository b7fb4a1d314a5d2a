"""Global context block (GC): Cao et al., ICCV Workshops 2019."""

from typing import ClassVar, Literal, cast

from torch import Tensor, nn

from attnzoo.blocks._parts import CONV
from attnzoo.errors import AttnzooError
from attnzoo.registry import check_form, register


@register(
    "gc",
    paper="Cao et al.: GCNet: Non-local Networks Meet Squeeze-Excitation Networks and Beyond",
    year=2019,
    reference="https://arxiv.org/abs/1904.11492",
    code="https://github.com/xvjiarui/GCNet",
    licence="Apache-2.0",
)
class GlobalContext(nn.Module):
    """Adds one vector to every position: a summary of the whole map, the same everywhere.

    A 1×1 convolution and a softmax over all positions weigh these, the weighted mean of the map is its context, and two
    dense layers with a bottleneck, a layer norm and a ReLU between them turn it into what is added. The last layer
    starts at zero, so that the block starts as identity. It has about 2·channels²/reduction parameters and
    2·channels multiply-adds per position. A bottleneck of one channel is normalised to a constant. The bias of the
    first convolution cancels in the softmax, so it gets no gradient but rounding.

    Args:
        channels: Width of the skip.
        reduction: The bottleneck is `channels // reduction` wide, which must be at least 1; 16 is the paper's value.
        dims: Spatial dimensions, 2 or 3.

    Shape:
        (B, C, *S) → (B, C, *S), for any spatial size S.

    Reference:
        https://arxiv.org/abs/1904.11492; https://github.com/xvjiarui/GCNet (Apache-2.0).

    Deviations:
        None in 2-D; of the forms in their code, it is the paper's: attention pooling and addition. The layers on the
        context, which are 1×1 convolutions there, are dense. 3-D is ours. timm's `gc` multiplies instead of adding.
    """

    kind: ClassVar[Literal["add"]] = "add"

    def __init__(self, channels: int, *, reduction: int = 16, dims: Literal[2, 3] = 2) -> None:
        super().__init__()
        check_form("gc", dims, channels=channels)
        if not 1 <= reduction <= channels:
            raise AttnzooError(
                f"`gc` cannot reduce {channels} channels by reduction={reduction}",
                f"with {channels} channels, reduction is 1 to {channels}",
            )
        planes = channels // reduction
        self.conv_mask = CONV[dims](channels, 1, 1)
        self.channel_add_conv = nn.Sequential(
            nn.Linear(channels, planes), nn.LayerNorm(planes), nn.ReLU(), nn.Linear(planes, channels)
        )
        nn.init.kaiming_normal_(self.conv_mask.weight)
        for parameter in (cast("Tensor", self.conv_mask.bias), *self.channel_add_conv[-1].parameters()):
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.added(x)

    def added(self, x: Tensor) -> Tensor:
        alpha = self.conv_mask(x).flatten(2).softmax(2)  # (B, 1, N)
        context = (x.flatten(2) @ alpha.transpose(1, 2).to(x.dtype)).squeeze(2)  # (B, C)
        term: Tensor = self.channel_add_conv(context)  # (B, C)
        return term.reshape(*x.shape[:2], *[1] * (x.ndim - 2))  # (B, C, 1, 1)
