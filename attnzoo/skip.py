"""The slot: a skip connection enters, attention looks at it, and it leaves with the same shape."""

from collections.abc import Iterable, Mapping

from torch import Tensor, nn


class Slot(nn.Module):
    """A place for blocks, applied from left to right. An empty one passes the skip through, and weighs nothing.

    A gated block (one with `listens`) also gets the decoder's signal of that name: `upsampled`, the decoder's feature
    at the skip's resolution, or `coarse`, the same before up-sampling.

    Attributes:
        blocks: The blocks, in order.
        spellings: How each was spelt when it was inserted, `ema:groups=8`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        self.spellings: tuple[str, ...] = ()

    def fill(self, blocks: Iterable[tuple[str, nn.Module]]) -> None:
        """Put pairs of spelling and block in place of what the slot held."""
        pairs = list(blocks)
        self.blocks = nn.ModuleList(block for _, block in pairs)
        self.spellings = tuple(spelling for spelling, _ in pairs)

    def forward(self, x: Tensor, upsampled: Tensor | None = None, coarse: Tensor | None = None) -> Tensor:
        """Apply the blocks to the skip.

        Args:
            x: The skip, (B, C, *spatial).
            upsampled: (B, G, *spatial); needed where a block listens to it.
            coarse: (B, G, *coarser spatial); likewise.
        """
        signals: Mapping[str, Tensor | None] = {"upsampled": upsampled, "coarse": coarse}
        for block in self.blocks:
            listens = getattr(block, "listens", None)
            x = block(x) if listens is None else block(x, signals[listens])
        return x  # (B, C, *spatial)

    def extra_repr(self) -> str:
        return "+".join(self.spellings)
