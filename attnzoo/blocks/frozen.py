"""A control: a block that stays as it was initialised."""

from typing import ClassVar, Literal

from torch import Tensor, nn

from attnzoo import spec
from attnzoo.registry import build_within, check_form, register, within

DEFAULT = spec.Chain((spec.Block("ema"),))


@register("frozen", paper="A control: a block that does not learn", year=2026, reference="attnzoo", group="controls")
class Frozen(nn.Module):
    """Does to the skip what another block does as it was initialised: nothing in it learns.

    Compared with the block itself, it tells what learning brings; compared with `none`, what the block's form alone
    does. Its parameters get no gradient, and it stays in evaluation mode while the network trains, so that the running
    statistics of batch norms keep their first values too, and dropout is off: training leaves not a bit of it changed.
    Gradients pass through to the skip and to the decoder. Its cost is the block's; its parameters count as the block's
    do. `kind`, `listens`, `weights`, `added` and `check_size` are those of the block within, `remark` says that it is
    frozen.

    Args:
        channels: Width of the skip.
        gate_channels: Width of the decoder's feature, if the block within hears it.
        block: The one block within, as in `[gate:inner=8]`.
        dims: Spatial dimensions, 2 or 3, if the block within has a form for them.

    Shape:
        (B, C, *S) → (B, C, *S), or (B, C, *S), (B, G, *T) → (B, C, *S): as the block within.

    Reference:
        attnzoo's own; no paper.

    Deviations:
        None.
    """

    kind: Literal["scale", "add", "mix"] = "mix"
    listens: Literal["upsampled", "coarse"] | None = None
    wraps: ClassVar[str] = "block"

    def __init__(
        self,
        channels: int,
        gate_channels: int | None = None,
        *,
        block: spec.Chain = DEFAULT,
        dims: Literal[2, 3] = 2,
    ) -> None:
        super().__init__()
        check_form("frozen", dims, channels=channels)
        self.block = build_within("frozen", block, channels, gate_channels, dims).requires_grad_(False)
        self.kind = getattr(self.block, "kind", "mix")
        self.listens = getattr(self.block, "listens", None)
        self.train()

    def forward(self, x: Tensor, *gate: Tensor) -> Tensor:
        result: Tensor = self.block(x, *gate)
        return result

    def weights(self, x: Tensor, *gate: Tensor) -> Tensor:
        factor: Tensor = self.block.weights(x, *gate)  # type: ignore[operator]
        return factor

    def added(self, x: Tensor, *gate: Tensor) -> Tensor:
        addend: Tensor = self.block.added(x, *gate)  # type: ignore[operator]
        return addend

    def train(self, mode: bool = True) -> "Frozen":
        super().train(mode)
        self.block.eval()
        return self

    def check_size(self, size: tuple[int, ...]) -> None:
        """Refuse a map size that the block within cannot take."""
        if (check := getattr(self.block, "check_size", None)) is not None:
            with within("frozen", "sit here"):
                check(size)

    @property
    def remark(self) -> str:
        """What is to be told of it beside its count of parameters."""
        count = sum(weight.numel() for weight in self.block.parameters())
        own = {0: "no parameters to freeze", 1: "1 parameter, which does not learn"}
        said = own.get(count, f"{count:,} parameters, none of which learns")
        inner = getattr(self.block, "remark", None)
        return f"{said}; within: {inner}" if inner else said
