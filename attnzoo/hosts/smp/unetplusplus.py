"""`UnetPlusPlus`: a slot on every level's skip, once, before all the nodes of that level hear it.

In the grid of nodes an encoder's feature goes two ways: along its level, to all nodes of it, and up, to the first node
of the next finer level. Only the first way is a skip and passes the slot. What the level's first node up-samples is
the coarser feature of the encoder, so that is what a gate hears. The bottleneck is the deepest feature, on its only
way, up. `decoder` sites are behind the nodes at the grid's rim, those that a plain U-Net has.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from segmentation_models_pytorch.decoders.unetplusplus.decoder import DecoderBlock, UnetPlusPlusDecoder
from torch import Tensor, nn
from torch.nn import functional as F

from attnzoo.hosts import Site
from attnzoo.hosts.smp._places import WithSlot, behind, depth_of, feature, lay_out, refuse_strangers, slot_at, stride_of
from attnzoo.skip import Slot


class FurnishedDecoder(WithSlot, UnetPlusPlusDecoder):  # type: ignore[misc]
    """A decoder whose skips, and whose deepest feature, pass slots where they enter the grid of nodes."""

    def open_slots(self) -> None:
        slots = nn.ModuleList(Slot() for _ in range(self.depth))  # the coarsest level's first
        self.skip_slots = slots.train(self.training)
        self.bottleneck_slot = Slot().train(self.training)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        deepest, *skips = features[:0:-1]
        source = self.bottleneck_slot(deepest)
        row: list[Tensor] = []
        for level, (slot, skip) in enumerate(zip(self.skip_slots, skips, strict=True)):
            below = [*row, source]
            row = [slot(skip, upsampled=self._heard(slot, source), coarse=source)]
            for column in range(level, -1, -1):
                row.insert(0, self.blocks[f"x_{column}_{level}"](below[column], torch.cat(row, dim=1)))
            source = skip
            row.pop()
        return cast("Tensor", self.blocks[f"x_0_{self.depth}"](row[0]))  # (B, out_channels, *size of the image)

    def _heard(self, slot: Any, source: Tensor) -> Tensor | None:
        """The source at the skip's resolution, if any block listens to it: no node shares what is made for a gate."""
        if any(getattr(block, "listens", None) == "upsampled" for block in slot.blocks):
            return F.interpolate(source, scale_factor=2.0, mode=self.blocks["x_0_0"].interpolation_mode)
        return None


WRITTEN = {UnetPlusPlusDecoder: FurnishedDecoder}


def sites(model: Any) -> tuple[Site, ...]:
    """The encoder's stages, the skips, the bottleneck, and the results of the nodes at the rim."""
    decoder = model.decoder
    refuse_strangers(model, [decoder], UnetPlusPlusDecoder, FurnishedDecoder)
    refuse_strangers(model, decoder.blocks.values(), DecoderBlock)
    depth, widths = depth_of(model), model.encoder.out_channels
    skips = []
    for index in range(1, depth):
        coarser = widths[index + 1]
        beside = f"decoder.blocks.x_{depth - 1 - index}_{depth - 1 - index}"
        gates = {"upsampled": coarser, "coarse": coarser}
        skips.append(feature(model, index, f"decoder.skip_slots.{depth - 1 - index}", beside, gates))
    return lay_out(
        model,
        skips=skips,
        bottleneck=feature(model, depth, "decoder.bottleneck_slot", "decoder.blocks.x_0_0"),
        decoder=[
            behind(
                f"decoder.blocks.x_0_{depth - 1 - index}",
                decoder.out_channels[depth - 1 - index],
                stride_of(model, index),
            )
            for index in range(depth)
        ],
    )


def slot(model: Any, site: Site) -> Slot:
    """The slot of a site, made where there is none."""
    return slot_at(model, site, WRITTEN)
