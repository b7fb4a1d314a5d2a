"""MONAI's `DynUNet`, its reading of nnU-Net: strides may differ along the axes, deep supervision stays.

A furnished `UnetUpBlock` gets a subclass whose forward is written out, and one new child, the slot. The network names
every part twice, in its lists and in its recursion; sites name it by the lists.
"""

from collections.abc import Iterator
from typing import Any, cast

import torch
from monai.networks.blocks.dynunet_block import UnetUpBlock
from monai.networks.nets.dynunet import DynUNet, DynUNetSkipLayer
from torch import Tensor

from attnzoo.hosts import Site
from attnzoo.hosts._ladder import Place, after, ladder, refuse_strangers, slot_at, strides
from attnzoo.skip import Slot


class FurnishedUpBlock(UnetUpBlock):  # type: ignore[misc]
    """The same, with a slot that the skip passes before it is concatenated."""

    skip_slot: Slot

    def forward(self, inp: Tensor, skip: Tensor) -> Tensor:
        upsampled = self.transp_conv(inp)
        skip = self.skip_slot(skip, upsampled=upsampled, coarse=inp)
        return cast("Tensor", self.conv_block(torch.cat((upsampled, skip), dim=1)))  # (B, out_channels, *spatial)


def sites(model: DynUNet) -> tuple[Site, ...]:
    """Encoder stages, skips, bottleneck and decoder stages.

    Raises:
        AttnzooError: If others have changed what is furnished here.
    """
    layers = list(_layers(model))
    refuse_strangers(model, layers, (DynUNetSkipLayer,), "MONAI")
    refuse_strangers(model, model.upsamples, (UnetUpBlock, FurnishedUpBlock), "MONAI")
    *widths, deepest = model.filters
    *along, last = strides(model.strides, model.spatial_dims)
    depth = len(widths)
    down = ["input_block", *(f"downsamples.{index}" for index in range(depth - 1))]
    up = [f"upsamples.{index}" for index in reversed(range(depth))]  # the network begins with the coarsest
    below = [*widths[1:], deepest]
    return ladder(
        encoder=[after(*row) for row in zip(down, widths, along, strict=True)],
        skips=[
            Place(f"{path}.skip_slot", path, width, stride, {"upsampled": width, "coarse": coarse})
            for path, width, stride, coarse in zip(up, widths, along, below, strict=True)
        ],
        bottleneck=after("bottleneck", deepest, last),
        decoder=[
            after(f"{path}.conv_block", width, stride) for path, width, stride in zip(up, widths, along, strict=True)
        ],
        dims=model.spatial_dims,
    )


def slot(model: DynUNet, site: Site) -> Slot:
    """The slot of a site, made where there is none yet."""
    return slot_at(model, site, {UnetUpBlock: FurnishedUpBlock})


def _layers(model: DynUNet) -> Iterator[Any]:
    """The recursion, from the finest layer down."""
    layer: Any = model.skip_layers
    for _ in model.upsamples:
        yield layer
        layer = getattr(layer, "next_layer", None)
