"""`PAN`: a slot on the low-level feature of every attention up-sampling; the bottleneck is what the pyramid is given.

`decoder` sites are the results of the up-samplings, and of the feature pyramid attention below them.
"""

from typing import Any, cast

from segmentation_models_pytorch.decoders.pan.decoder import FPABlock, GAUBlock, PANDecoder
from torch import Tensor
from torch.nn import functional as F

from attnzoo.hosts import Site
from attnzoo.hosts.smp._places import WithSlot, behind, depth_of, feature, lay_out, refuse_strangers, slot_at, stride_of
from attnzoo.skip import Slot


class FurnishedBlock(WithSlot, GAUBlock):  # type: ignore[misc]
    """A global attention up-sampling whose low-level feature passes a slot before its convolution."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        upsampled = F.interpolate(y, size=x.shape[2:], mode=self.interpolation_mode, align_corners=self.align_corners)
        skip = self.slot(x, upsampled=upsampled, coarse=y)
        return cast("Tensor", upsampled + self.conv2(skip) * self.conv1(y))  # (B, decoder_channels, *size of x)


WRITTEN = {GAUBlock: FurnishedBlock}


def sites(model: Any) -> tuple[Site, ...]:
    """The encoder's stages, the skips, the bottleneck, and the decoder's levels."""
    depth = depth_of(model)
    levels = [(index, f"gau{index - 1}") for index in range(2, depth)]
    refuse_strangers(model, [model.decoder], PANDecoder)
    refuse_strangers(model, [getattr(model.decoder, name) for _, name in levels], GAUBlock, FurnishedBlock)
    refuse_strangers(model, [model.decoder.fpa], FPABlock)
    width = model.decoder.gau1.conv2.conv.out_channels
    gates = {"upsampled": width, "coarse": width}
    return lay_out(
        model,
        skips=[feature(model, index, f"decoder.{name}.slot", f"decoder.{name}", gates) for index, name in levels],
        bottleneck=feature(model, depth, "decoder.fpa.slot_before", "decoder.fpa"),
        decoder=[
            behind(f"decoder.{name}", width, stride_of(model, index)) for index, name in (*levels, (depth, "fpa"))
        ],
    )


def slot(model: Any, site: Site) -> Slot:
    """The slot of a site, made where there is none."""
    return slot_at(model, site, WRITTEN)
