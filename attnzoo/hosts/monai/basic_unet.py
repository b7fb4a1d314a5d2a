"""MONAI's `BasicUNet`: four skips, and a decoder that hears each of them in one `UpCat`.

A furnished `UpCat` gets a subclass whose forward is written out, and one new child, the slot.
"""

from typing import Any, cast

import torch
from monai.networks.nets.basic_unet import BasicUNet, UpCat
from torch import Tensor
from torch.nn import functional as F

from attnzoo.hosts import Site
from attnzoo.hosts._ladder import Place, after, ladder, refuse_strangers, slot_at, strides
from attnzoo.skip import Slot


class FurnishedUpCat(UpCat):  # type: ignore[misc]
    """The same, with a slot that the encoder's feature passes before it is concatenated."""

    skip_slot: Slot

    def forward(self, x: Tensor, x_e: Tensor) -> Tensor:
        upsampled = self.upsample(x)
        if self.is_pad:  # pooling has rounded down: the last row is repeated
            sizes = zip(reversed(upsampled.shape[2:]), reversed(x_e.shape[2:]), strict=True)
            padding = [edge for size, wanted in sizes for edge in (0, 0 if size == wanted else 1)]
            upsampled = F.pad(upsampled, padding, "replicate")
        skip = self.skip_slot(x_e, upsampled=upsampled, coarse=x)
        return cast("Tensor", self.convs(torch.cat([skip, upsampled], dim=1)))  # (B, out_chns, *spatial)


def sites(model: BasicUNet) -> tuple[Site, ...]:
    """Encoder stages, skips, bottleneck and decoder stages.

    Raises:
        AttnzooError: If others have changed what is furnished here.
    """
    ups: list[Any] = [model.upcat_1, model.upcat_2, model.upcat_3, model.upcat_4]
    refuse_strangers(model, ups, (UpCat, FurnishedUpCat), "MONAI")
    stages = [model.conv_0, *(down.convs for down in (model.down_1, model.down_2, model.down_3, model.down_4))]
    *widths, deepest = [stage.conv_1.out_channels for stage in stages]
    dims: int = model.conv_0.conv_0.spatial_dims
    *along, last = strides((1, 2, 2, 2, 2), dims)
    out = [up.convs.conv_1.out_channels for up in ups]
    heard = [up.convs.conv_0.in_channels - width for up, width in zip(ups, widths, strict=True)]
    below = [*out[1:], deepest]
    names = ["conv_0", *(f"down_{level}" for level in range(1, 5))]
    return ladder(
        encoder=[after(*row) for row in zip(names, widths, along, strict=False)],
        skips=[
            Place(f"upcat_{level}.skip_slot", f"upcat_{level}", width, stride, {"upsampled": signal, "coarse": coarse})
            for level, (width, stride, signal, coarse) in enumerate(
                zip(widths, along, heard, below, strict=True), start=1
            )
        ],
        bottleneck=after("down_4", deepest, last),
        decoder=[
            after(f"upcat_{level}.convs", width, stride)
            for level, (width, stride) in enumerate(zip(out, along, strict=True), start=1)
        ],
        dims=dims,
    )


def slot(model: BasicUNet, site: Site) -> Slot:
    """The slot of a site, made where there is none yet."""
    return slot_at(model, site, {UpCat: FurnishedUpCat})
