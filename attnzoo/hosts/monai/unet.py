"""MONAI's `UNet` and `CheckpointUNet`: sequences of a layer down, a `SkipConnection` around the rest, and a layer up.

A furnished `SkipConnection` gets a subclass whose forward is written out, and one new child, the slot. The layer up
takes skip and decoder together, so a site offers the decoder's feature at its own resolution, and no coarser one.
"""

from typing import Any

import torch
from monai.networks.layers.simplelayers import SkipConnection
from monai.networks.nets.unet import UNet
from torch import Tensor, nn

from attnzoo.hosts import Site
from attnzoo.hosts._ladder import Place, after, ladder, refuse_strangers, slot_at, strides
from attnzoo.skip import Slot


class FurnishedSkip(SkipConnection):  # type: ignore[misc]
    """The same, with a slot that the skip passes before it is concatenated."""

    skip_slot: Slot

    def forward(self, x: Tensor) -> Tensor:
        upsampled = self.submodule(x)
        return torch.cat([self.skip_slot(x, upsampled=upsampled), upsampled], dim=1)  # (B, C + G, *spatial)


def sites(model: UNet) -> tuple[Site, ...]:
    """Encoder stages, skips, bottleneck and decoder stages: what comes up to a level, before it meets the skip.

    Raises:
        AttnzooError: If others have changed what is furnished here.
    """
    paths = _levels(model)
    *widths, deepest = model.channels
    *along, last = strides((*model.strides[: len(widths)], 1), model.dimensions)
    downs, ups = ([_inner(model, f"{path}.{child}") for path in paths] for child in (0, 2))
    bottom = _inner(model, f"{paths[-1]}.1.submodule")
    return ladder(
        encoder=[after(*row) for row in zip(downs, widths, along, strict=True)],
        skips=[
            Place(f"{path}.1.skip_slot", up, width, stride, {"upsampled": signal})
            for path, up, width, stride, signal in zip(paths, ups, widths, along, [*widths[:-1], deepest], strict=True)
        ],
        bottleneck=after(bottom, deepest, last),
        decoder=[after(*row) for row in zip(ups[1:], widths, along, strict=False)],
        dims=model.dimensions,
    )


def slot(model: UNet, site: Site) -> Slot:
    """The slot of a site, made where there is none yet."""
    return slot_at(model, site, {SkipConnection: FurnishedSkip})


def _levels(model: UNet) -> list[str]:
    """The path of every level's sequence, from the finest down."""
    path, found = "model", list[str]()
    for _ in model.channels[1:]:
        level: Any = model.get_submodule(path)
        refuse_strangers(model, [level], (nn.Sequential,), "MONAI")
        skip = level[1]
        cat = getattr(skip, "mode", None) == "cat"
        refuse_strangers(model, [skip], (SkipConnection, FurnishedSkip) if cat else (), "MONAI")
        found.append(path)
        path = _inner(model, f"{path}.1.submodule")
    return found


def _inner(model: UNet, path: str) -> str:
    """The path of what a `CheckpointUNet` has wrapped."""
    wrapped = type(model.get_submodule(path)).__name__ == "ActivationCheckpointWrapper"
    return f"{path}.module" if wrapped else path
