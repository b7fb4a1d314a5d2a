"""nnU-Net's networks, `PlainConvUNet` and `ResidualEncoderUNet` of dynamic-network-architectures (0.4): 2-D and 3-D.

The furnished decoder gets a subclass whose forward is written out, and one new child, a slot for every skip. Deep
supervision, which nnU-Net turns on and off from outside, stays.
"""

from typing import Any, cast

import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
from dynamic_network_architectures.building_blocks.helper import convert_conv_op_to_dim
from dynamic_network_architectures.building_blocks.plain_conv_encoder import PlainConvEncoder
from dynamic_network_architectures.building_blocks.residual_encoders import ResidualEncoder
from dynamic_network_architectures.building_blocks.unet_decoder import UNetDecoder
from torch import Tensor, nn

from attnzoo.hosts import Site
from attnzoo.hosts._furnish import become, check_forward, slot_after
from attnzoo.hosts._ladder import Place, after, ladder, refuse_strangers, strides
from attnzoo.skip import Slot

_LIBRARY = "dynamic-network-architectures"


class FurnishedDecoder(UNetDecoder):  # type: ignore[misc]
    """The same, with slots that the skips pass before they are concatenated."""

    skip_slots: nn.ModuleList

    def forward(self, skips: list[Tensor]) -> Tensor | list[Tensor]:
        *fine, x = skips
        logits: list[Tensor] = []
        for index, (transpconv, stage) in enumerate(zip(self.transpconvs, self.stages, strict=True)):
            upsampled = transpconv(x)
            skip = self.skip_slots[index](fine[-index - 1], upsampled=upsampled, coarse=x)
            x = stage(torch.cat((upsampled, skip), 1))
            if self.deep_supervision or index == len(self.stages) - 1:
                logits.append(self.seg_layers[index](x))
        return logits[::-1] if self.deep_supervision else logits[-1]  # the finest first


def sites(model: PlainConvUNet | ResidualEncoderUNet) -> tuple[Site, ...]:
    """Encoder stages, skips, bottleneck and decoder stages.

    Raises:
        AttnzooError: If others have changed what is furnished here.
    """
    encoder, decoder = model.encoder, model.decoder
    refuse_strangers(model, [encoder], (PlainConvEncoder, ResidualEncoder), _LIBRARY)
    refuse_strangers(model, [decoder], (UNetDecoder, FurnishedDecoder), _LIBRARY)
    dims = convert_conv_op_to_dim(encoder.conv_op)
    *widths, deepest = encoder.output_channels
    *along, last = strides(encoder.strides, dims)
    # a plain stage is a sequence of one, whose last child nnU-Net counts: the slot follows that child
    inner = ".0" if isinstance(encoder, PlainConvEncoder) else ""
    *stages, bottom = [f"encoder.stages.{index}{inner}" for index in range(len(encoder.stages))]
    order = list(reversed(range(len(decoder.stages))))  # the decoder begins with the coarsest
    return ladder(
        encoder=[after(*row) for row in zip(stages, widths, along, strict=True)],
        skips=[
            Place(f"decoder.skip_slots.{index}", f"decoder.stages.{index}", width, stride, signals)
            for index, width, stride, signals in zip(order, widths, along, _signals(widths, deepest), strict=True)
        ],
        bottleneck=after(bottom, deepest, last),
        decoder=[
            after(f"decoder.stages.{index}", width, stride)
            for index, width, stride in zip(order, widths, along, strict=True)
        ],
        dims=dims,
    )


def slot(model: PlainConvUNet | ResidualEncoderUNet, site: Site) -> Slot:
    """The slot of a site, made where there is none yet."""
    if not site.name.startswith("skip"):
        return slot_after(model, site.path.removesuffix(".slot"))
    decoder: Any = model.decoder
    if not isinstance(decoder, FurnishedDecoder):
        check_forward(decoder, "decoder")
        become(decoder, FurnishedDecoder)
        decoder.skip_slots = nn.ModuleList(Slot() for _ in decoder.stages).train(decoder.training)
    return cast("Slot", model.get_submodule(site.path))


def _signals(widths: list[int], deepest: int) -> list[dict[str, int]]:
    """What a skip can hear: the transposed convolution's result, and what it was made from."""
    return [
        {"upsampled": width, "coarse": coarse} for width, coarse in zip(widths, [*widths[1:], deepest], strict=True)
    ]
