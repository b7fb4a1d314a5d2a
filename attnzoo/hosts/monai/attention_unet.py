"""MONAI's `AttentionUnet`: its own gates stay; a skip passes its slot first, so that `ema` does what `ema+gate` says.

A furnished `AttentionLayer` gets a subclass whose forward is written out, and one new child, the slot.
"""

from collections.abc import Iterator
from typing import cast

import torch
from monai.networks.nets.attentionunet import AttentionLayer, AttentionUnet
from torch import Tensor, nn

from attnzoo.hosts import Site
from attnzoo.hosts._ladder import Place, after, ladder, refuse_strangers, slot_at, strides
from attnzoo.skip import Slot


class FurnishedLayer(AttentionLayer):  # type: ignore[misc]
    """The same, with a slot that the skip passes before the layer's own gate."""

    skip_slot: Slot

    def forward(self, x: Tensor) -> Tensor:
        coarse = self.submodule(x)
        upsampled = self.upconv(coarse)
        skip = self.attention(g=upsampled, x=self.skip_slot(x, upsampled=upsampled, coarse=coarse))
        return cast("Tensor", self.merge(torch.cat((skip, upsampled), dim=1)))  # (B, in_channels, *spatial)


def sites(model: AttentionUnet) -> tuple[Site, ...]:
    """Encoder stages, skips, bottleneck and decoder stages.

    Raises:
        AttnzooError: If others have changed what is furnished here.
    """
    layers = list(_layers(model))
    *widths, deepest = model.channels
    *along, last = strides((1, *model.strides[: len(widths)]), model.dimensions)
    down = ["model.0", *(f"{path}.submodule.0" for path in layers[:-1])]
    below = [*widths[1:], deepest]
    return ladder(
        encoder=[after(*row) for row in zip(down, widths, along, strict=True)],
        skips=[
            Place(f"{path}.skip_slot", f"{path}.merge", width, stride, {"upsampled": width, "coarse": coarse})
            for path, width, stride, coarse in zip(layers, widths, along, below, strict=True)
        ],
        bottleneck=after(f"{layers[-1]}.submodule", deepest, last),
        decoder=[
            after(f"{path}.merge", width, stride) for path, width, stride in zip(layers, widths, along, strict=True)
        ],
        dims=model.dimensions,
    )


def slot(model: AttentionUnet, site: Site) -> Slot:
    """The slot of a site, made where there is none yet."""
    return slot_at(model, site, {AttentionLayer: FurnishedLayer})


def _layers(model: AttentionUnet) -> Iterator[str]:
    """The path of every layer, from the finest down."""
    path, layer = "model.1", model.model[1]
    for below in reversed(range(len(model.channels) - 1)):
        refuse_strangers(model, [layer], (AttentionLayer, FurnishedLayer), "MONAI")
        yield path
        if below:
            refuse_strangers(model, [layer.submodule], (nn.Sequential,), "MONAI")
            path, layer = f"{path}.submodule.1", layer.submodule[1]
