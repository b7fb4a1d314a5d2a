"""`FPN`: a slot on every lateral connection of the pyramid, before its convolution.

The bottleneck is what `p5` is given. `decoder` sites are the pyramid's levels, p2 to p5, each before it goes on to the
next and to its own head.
"""

from typing import Any, cast

from segmentation_models_pytorch.decoders.fpn.decoder import FPNBlock, FPNDecoder
from torch import Tensor, nn
from torch.nn import functional as F

from attnzoo.hosts import Site
from attnzoo.hosts.smp._places import WithSlot, behind, depth_of, feature, lay_out, refuse_strangers, slot_at, stride_of
from attnzoo.skip import Slot


class FurnishedBlock(WithSlot, FPNBlock):  # type: ignore[misc]
    """A level of the pyramid whose lateral connection passes a slot before its convolution."""

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        upsampled = F.interpolate(x, scale_factor=2.0, mode=self.interpolation_mode)
        skip = self.slot(skip, upsampled=upsampled, coarse=x)
        return cast("Tensor", upsampled + self.skip_conv(skip))  # (B, pyramid_channels, *twice the size of x)


WRITTEN = {FPNBlock: FurnishedBlock}


def sites(model: Any) -> tuple[Site, ...]:
    """The encoder's stages, the skips, the bottleneck, and the pyramid's levels.

    With an encoder of depth 3 the image itself is the finest lateral connection, and no site.
    """
    levels = ("p2", "p3", "p4")
    refuse_strangers(model, [model.decoder], FPNDecoder)
    refuse_strangers(model, [getattr(model.decoder, level) for level in levels], FPNBlock, FurnishedBlock)
    refuse_strangers(model, [model.decoder.p5], nn.Conv2d)
    depth, width = depth_of(model), model.decoder.p5.out_channels
    gates = {"upsampled": width, "coarse": width}
    return lay_out(
        model,
        skips=[
            feature(model, index, f"decoder.{level}.slot", f"decoder.{level}", gates)
            for index, level in enumerate(levels, start=depth - 3)
            if index > 0
        ],
        bottleneck=feature(model, depth, "decoder.p5.slot_before", "decoder.p5"),
        decoder=[
            behind(f"decoder.{level}", width, stride_of(model, index))
            for index, level in enumerate((*levels, "p5"), start=depth - 3)
        ],
    )


def slot(model: Any, site: Site) -> Slot:
    """The slot of a site, made where there is none."""
    return slot_at(model, site, WRITTEN)
