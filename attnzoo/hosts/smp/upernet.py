"""`UPerNet`: a slot on every lateral connection, behind the layer norm and before the convolution.

The bottleneck is what the pyramid pooling is given. `decoder` sites are the sums, each before it goes on to the next,
and the pyramid pooling's result below them.
"""

from typing import Any, cast

from segmentation_models_pytorch.decoders.upernet.decoder import FPNLateralBlock, PSPModule, UPerNetDecoder
from torch import Tensor
from torch.nn import functional as F

from attnzoo.hosts import Site
from attnzoo.hosts.smp._places import WithSlot, behind, depth_of, feature, lay_out, refuse_strangers, slot_at, stride_of
from attnzoo.skip import Slot


class FurnishedBlock(WithSlot, FPNLateralBlock):  # type: ignore[misc]
    """A lateral connection that passes a slot before its convolution."""

    def forward(self, state_feature: Tensor, lateral_feature: Tensor) -> Tensor:
        size = lateral_feature.shape[2:]
        upsampled = F.interpolate(state_feature, size=size, mode="bilinear", align_corners=False)
        skip = self.slot(lateral_feature, upsampled=upsampled, coarse=state_feature)
        return cast("Tensor", upsampled + self.conv_norm_relu(skip))  # (B, decoder_channels, *size)


WRITTEN = {FPNLateralBlock: FurnishedBlock}


def sites(model: Any) -> tuple[Site, ...]:
    """The encoder's stages, the skips, the bottleneck, and the decoder's levels."""
    decoder, depth = model.decoder, depth_of(model)
    refuse_strangers(model, [decoder], UPerNetDecoder)
    refuse_strangers(model, [decoder.psp], PSPModule)
    refuse_strangers(model, decoder.fpn_lateral_blocks, FPNLateralBlock, FurnishedBlock)
    # the decoder begins with the coarsest, and leaves the features out that are finer than stride 4
    levels = [(index, f"decoder.fpn_lateral_blocks.{depth - 1 - index}") for index in range(2, depth)]
    width = decoder.psp.out_conv[0].out_channels
    gates = {"upsampled": width, "coarse": width}
    return lay_out(
        model,
        skips=[feature(model, index, f"{path}.slot", path, gates) for index, path in levels],
        bottleneck=feature(model, depth, "decoder.psp.slot_before", "decoder.psp"),
        decoder=[behind(path, width, stride_of(model, index)) for index, path in (*levels, (depth, "decoder.psp"))],
    )


def slot(model: Any, site: Site) -> Slot:
    """The slot of a site, made where there is none."""
    return slot_at(model, site, WRITTEN)
