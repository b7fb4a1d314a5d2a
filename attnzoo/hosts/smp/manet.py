"""`MAnet`: a slot on every skip, before the block weighs it by its own squeeze and excitation.

The bottleneck is behind `decoder.center`, the position-wise attention. `upsampled` is the decoder's feature at the
skip's width, `coarse` the one that the block was given.
"""

from typing import Any, cast

import torch
from segmentation_models_pytorch.decoders.manet.decoder import DecoderBlock, MAnetDecoder, MFABBlock
from torch import Tensor
from torch.nn import functional as F

from attnzoo.hosts import Site
from attnzoo.hosts.smp._places import WithSlot, behind, depth_of, feature, lay_out, refuse_strangers, slot_at, stride_of
from attnzoo.skip import Slot


class FurnishedBlock(WithSlot, MFABBlock):  # type: ignore[misc]
    """A multi-scale fusion attention block whose skip passes a slot first."""

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        upsampled = F.interpolate(self.hl_conv(x), scale_factor=2.0, mode=self.interpolation_mode)
        skip = self.slot(skip, upsampled=upsampled, coarse=x)
        weights = self.SE_hl(upsampled) + self.SE_ll(skip)
        x = self.conv1(torch.cat([upsampled * weights, skip], dim=1))
        return cast("Tensor", self.conv2(x))  # (B, out_channels, *twice the size of x)


WRITTEN = {MFABBlock: FurnishedBlock}


def sites(model: Any) -> tuple[Site, ...]:
    """The encoder's stages, the skips, the bottleneck, and the result of every decoder block."""
    decoder = model.decoder
    parts = [decoder, *getattr(decoder, "blocks", ())]
    refuse_strangers(model, parts, MAnetDecoder, DecoderBlock, MFABBlock, FurnishedBlock)
    depth = depth_of(model)
    skips, results = [], []
    for index, block in enumerate(reversed(decoder.blocks)):  # the decoder begins with the coarsest
        path = f"decoder.blocks.{depth - 1 - index}"
        results.append(behind(path, block.conv2[0].out_channels, stride_of(model, index)))
        if isinstance(block, MFABBlock):
            gates = {"upsampled": model.encoder.out_channels[index], "coarse": block.hl_conv[0][0].in_channels}
            skips.append(feature(model, index, f"{path}.slot", path, gates))
    bottleneck = feature(model, depth, "decoder.center.slot_after", "decoder.center")
    return lay_out(model, skips=skips, bottleneck=bottleneck, decoder=results)


def slot(model: Any, site: Site) -> Slot:
    """The slot of a site, made where there is none."""
    return slot_at(model, site, WRITTEN)
