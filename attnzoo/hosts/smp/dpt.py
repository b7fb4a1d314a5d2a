"""`DPT`: a slot on every reassembled feature where it enters its fusion block; the deepest is the bottleneck.

Before they are reassembled, all features of a vision transformer have one resolution, and are no levels yet. A fusion
block adds the coarser level's result, which comes up-sampled: that is what a gate hears, and there is no `coarse`.
"""

from typing import Any, cast

from segmentation_models_pytorch.decoders.dpt.decoder import DPTDecoder, FusionBlock
from torch import Tensor
from torch.nn import functional as F

from attnzoo.hosts import Site
from attnzoo.hosts._ladder import Place
from attnzoo.hosts.smp._places import WithSlot, behind, lay_out, refuse_strangers, slot_at
from attnzoo.skip import Slot


class FurnishedBlock(WithSlot, FusionBlock):  # type: ignore[misc]
    """A fusion block whose reassembled feature passes a slot first."""

    def forward(self, feature: Tensor, previous_feature: Tensor | None = None) -> Tensor:
        x = self.residual_conv_block1(self.slot(feature, upsampled=previous_feature))
        x = self.residual_conv_block2(x if previous_feature is None else x + previous_feature)
        x = F.interpolate(x, scale_factor=2, align_corners=True, mode="bilinear")
        return cast("Tensor", self.project(x))  # (B, fusion_channels, *twice the size)


WRITTEN = {FusionBlock: FurnishedBlock}


def sites(model: Any) -> tuple[Site, ...]:
    """The skips, the bottleneck, and the result of every fusion block; a vision transformer's blocks have no maps."""
    decoder = model.decoder
    refuse_strangers(model, [decoder, *getattr(decoder, "fusion_blocks", ())], DPTDecoder, FusionBlock, FurnishedBlock)
    width, count = decoder.fusion_blocks[0].project.out_channels, len(decoder.fusion_blocks)
    paths = [f"decoder.fusion_blocks.{index}" for index in reversed(range(count))]  # the first is the coarsest
    strides = [2 ** (index + 2) for index in range(count)]
    *skips, bottleneck = (
        Place(f"{path}.slot", path, width, stride, {"upsampled": width} if path != paths[-1] else {})
        for path, stride in zip(paths, strides, strict=True)
    )
    results = [behind(path, width, stride // 2) for path, stride in zip(paths, strides, strict=True)]
    return lay_out(model, skips=skips, bottleneck=bottleneck, decoder=results)


def slot(model: Any, site: Site) -> Slot:
    """The slot of a site, made where there is none."""
    return slot_at(model, site, WRITTEN)
