"""`DeepLabV3` and `DeepLabV3Plus`: the bottleneck is what the atrous spatial pyramid pooling (ASPP) is given.

`DeepLabV3Plus` has one skip, at stride 4, before its convolution; `DeepLabV3` has none. `decoder2` is behind ASPP in
both, `decoder1` at the decoder's end.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from segmentation_models_pytorch.decoders.deeplabv3.decoder import ASPP, DeepLabV3Decoder, DeepLabV3PlusDecoder
from torch import Tensor, nn

from attnzoo.hosts import Site
from attnzoo.hosts._ladder import Place
from attnzoo.hosts.smp._places import WithSlot, behind, depth_of, feature, lay_out, refuse_strangers, slot_at, stride_of
from attnzoo.skip import Slot


class FurnishedPlusDecoder(WithSlot, DeepLabV3PlusDecoder):  # type: ignore[misc]
    """A decoder whose one skip passes a slot before its convolution."""

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        coarse = self.aspp(features[-1])
        upsampled = self.up(coarse)
        skip = self.slot(features[2], upsampled=upsampled, coarse=coarse)
        fused = self.block2(torch.cat([upsampled, self.block1(skip)], dim=1))
        return cast("Tensor", fused)  # (B, decoder_channels, *size of the skip)


WRITTEN = {DeepLabV3PlusDecoder: FurnishedPlusDecoder}


def sites(model: Any) -> tuple[Site, ...]:
    """The encoder's stages, the skip where there is one, the bottleneck, and the decoder's two results."""
    decoder, depth = model.decoder, depth_of(model)
    refuse_strangers(model, [decoder], DeepLabV3Decoder, DeepLabV3PlusDecoder, FurnishedPlusDecoder)
    if isinstance(decoder, DeepLabV3Decoder):
        refuse_strangers(model, [decoder.aspp], ASPP)
        width, stride = decoder.conv.out_channels, stride_of(model, depth)
        return lay_out(
            model,
            bottleneck=feature(model, depth, "decoder.aspp.slot_before", "decoder.aspp"),
            decoder=[
                Place("decoder.relu.slot_after", "decoder.conv", width, stride),
                behind("decoder.aspp", width, stride),
            ],
        )
    refuse_strangers(model, [decoder.aspp], nn.Sequential)
    refuse_strangers(model, [decoder.aspp[0]], ASPP)
    width = decoder.aspp[1][1].out_channels  # by place: a slot may have come behind
    gates = {"upsampled": width, "coarse": width}
    return lay_out(
        model,
        skips=[feature(model, 2, "decoder.slot", "decoder.block1", gates)],
        bottleneck=feature(model, depth, "decoder.aspp.0.slot_before", "decoder.aspp.0"),
        decoder=[
            behind("decoder.block2", width, stride_of(model, 2)),
            behind("decoder.aspp", width, stride_of(model, depth)),
        ],
    )


def slot(model: Any, site: Site) -> Slot:
    """The slot of a site, made where there is none."""
    return slot_at(model, site, WRITTEN)
