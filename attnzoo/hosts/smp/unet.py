"""`Unet`: a slot on every skip, before it is concatenated; the bottleneck is behind `decoder.center`."""

from typing import Any, cast

import torch
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder, UnetDecoderBlock
from torch import Tensor
from torch.nn import functional as F

from attnzoo.hosts import Site
from attnzoo.hosts.smp._places import WithSlot, behind, depth_of, feature, lay_out, refuse_strangers, slot_at, stride_of
from attnzoo.skip import Slot


class FurnishedBlock(WithSlot, UnetDecoderBlock):  # type: ignore[misc]
    """A decoder block whose skip passes a slot before it is concatenated."""

    def forward(
        self, feature_map: Tensor, target_height: int, target_width: int, skip_connection: Tensor | None = None
    ) -> Tensor:
        upsampled = F.interpolate(feature_map, size=(target_height, target_width), mode=self.interpolation_mode)
        skip = self.slot(skip_connection, upsampled=upsampled, coarse=feature_map)
        x = self.attention1(torch.cat([upsampled, skip], dim=1))
        x = self.attention2(self.conv2(self.conv1(x)))
        return cast("Tensor", x)  # (B, out_channels, target_height, target_width)


WRITTEN = {UnetDecoderBlock: FurnishedBlock}


def sites(model: Any) -> tuple[Site, ...]:
    """The encoder's stages, the skips, the bottleneck, and the result of every decoder block."""
    decoder = model.decoder
    refuse_strangers(model, [decoder, *getattr(decoder, "blocks", ())], UnetDecoder, UnetDecoderBlock, FurnishedBlock)
    depth = depth_of(model)
    skips, results = [], []
    for index, block in enumerate(reversed(decoder.blocks)):  # the decoder begins with the coarsest
        path = f"decoder.blocks.{depth - 1 - index}"
        results.append(behind(path, block.conv2[0].out_channels, stride_of(model, index)))
        if index > 0:
            signal = block.conv1[0].in_channels - model.encoder.out_channels[index]
            gates = {"upsampled": signal, "coarse": signal}
            skips.append(feature(model, index, f"{path}.slot", path, gates))
    bottleneck = feature(model, depth, "decoder.center.slot_after", "decoder.blocks.0")
    return lay_out(model, skips=skips, bottleneck=bottleneck, decoder=results)


def slot(model: Any, site: Site) -> Slot:
    """The slot of a site, made where there is none."""
    return slot_at(model, site, WRITTEN)
