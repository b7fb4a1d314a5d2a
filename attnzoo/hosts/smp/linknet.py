"""`Linknet`: a slot on every skip, before it is added; the bottleneck is what the first block is given."""

from typing import Any, cast

from segmentation_models_pytorch.decoders.linknet.decoder import DecoderBlock, LinknetDecoder
from torch import Tensor

from attnzoo.hosts import Site
from attnzoo.hosts.smp._places import WithSlot, behind, depth_of, feature, lay_out, refuse_strangers, slot_at, stride_of
from attnzoo.skip import Slot


class FurnishedBlock(WithSlot, DecoderBlock):  # type: ignore[misc]
    """A decoder block whose skip passes a slot before it is added."""

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        upsampled = self.block(x)
        skip = self.slot(skip, upsampled=upsampled, coarse=x)
        return cast("Tensor", upsampled + skip)  # (B, out_channels, *twice the size of x)


WRITTEN = {DecoderBlock: FurnishedBlock}


def sites(model: Any) -> tuple[Site, ...]:
    """The encoder's stages, the skips, the bottleneck, and the result of every decoder block."""
    decoder = model.decoder
    refuse_strangers(model, [decoder, *getattr(decoder, "blocks", ())], LinknetDecoder, DecoderBlock, FurnishedBlock)
    depth = depth_of(model)
    skips, results = [], []
    for index, block in enumerate(reversed(decoder.blocks)):  # the decoder begins with the coarsest
        path = f"decoder.blocks.{depth - 1 - index}"
        first, last = block.block[0][0], block.block[2][0]  # by place: a slot may have come behind
        results.append(behind(path, last.out_channels, stride_of(model, index)))
        if index > 0:
            gates = {"upsampled": last.out_channels, "coarse": first.in_channels}
            skips.append(feature(model, index, f"{path}.slot", path, gates))
    bottleneck = feature(model, depth, "decoder.blocks.0.slot_before", "decoder.blocks.0")
    return lay_out(model, skips=skips, bottleneck=bottleneck, decoder=results)


def slot(model: Any, site: Site) -> Slot:
    """The slot of a site, made where there is none."""
    return slot_at(model, site, WRITTEN)
