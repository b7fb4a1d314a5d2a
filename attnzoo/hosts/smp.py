"""The `Unet` of segmentation-models-pytorch (0.6 and later): the only module that knows its decoder.

A furnished decoder block gets a subclass whose forward is written out, and one new child, the slot: all keys that were
there stay as they are. Skips of width 0, which some encoders have, are no sites.
"""

from functools import cache
from typing import Any, Never, cast

import torch
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder, UnetDecoderBlock
from torch import Tensor, nn
from torch.nn import functional as F

from attnzoo.errors import AttnzooError
from attnzoo.hosts import Site
from attnzoo.skip import Slot


class FurnishedBlock(UnetDecoderBlock):  # type: ignore[misc]
    """A decoder block whose skip passes a slot before it is concatenated."""

    slot: Slot

    def forward(
        self, feature_map: Tensor, target_height: int, target_width: int, skip_connection: Tensor | None = None
    ) -> Tensor:
        upsampled = F.interpolate(feature_map, size=(target_height, target_width), mode=self.interpolation_mode)
        skip = self.slot(skip_connection, upsampled=upsampled, coarse=feature_map)
        x = self.attention1(torch.cat([upsampled, skip], dim=1))
        x = self.attention2(self.conv2(self.conv1(x)))
        return cast("Tensor", x)  # (B, out_channels, target_height, target_width)


class Furnished:
    """Mixed into the class of a furnished model: what smp's own saving would silently drop is refused."""

    def save_pretrained(self, *args: Any, **kwargs: Any) -> Never:
        raise AttnzooError(
            f"`save_pretrained` of smp would lose the attention of this `{type(self).__name__}`",
            "save its state_dict(); to load it, build the host anew, furnish it by attnzoo.insert, and load_state_dict",
        )

    def push_to_hub(self, *args: Any, **kwargs: Any) -> Never:
        self.save_pretrained()

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        # the class is made on the spot, so copies and pickles name the one that it was made from
        _, cls = type(self).__bases__
        return _revive, (cls,), self.__getstate__()


def sites(model: Any) -> tuple[Site, ...]:
    """The skips from the finest down, then the bottleneck, where the decoder begins.

    Raises:
        AttnzooError: If the decoder has been changed by others: a forward written out here would undo it.
    """
    _refuse_strangers(model)
    _, *skip_widths, head = model.encoder.out_channels  # smp's decoder leaves the first, the input's resolution, out
    deepest = len(skip_widths) + 1
    found: list[Site] = []
    for depth, width in enumerate(skip_widths, start=1):
        if width == 0:
            continue
        index = len(skip_widths) - depth  # the decoder begins with the coarsest
        block = model.decoder.blocks[index]
        signal = block.conv1[0].in_channels - width
        found.append(
            Site(
                name=f"skip{len(found) + 1}",
                path=f"decoder.blocks.{index}.slot",
                beside=f"decoder.blocks.{index}",
                level=len(found) + 1,
                channels=width,
                gates={"upsampled": signal, "coarse": signal},
                stride=min(2**depth, model.encoder.output_stride),
                dims=2,
            )
        )
    center = model.decoder.center
    position = len(center) - isinstance(center[-1], Slot) if isinstance(center, nn.Sequential) else None
    bottleneck = Site(
        name="bottleneck",
        path="decoder.center" if position is None else f"decoder.center.{position}",
        beside="decoder.blocks.0",
        level=len(found) + 1,
        channels=head,
        gates={},
        stride=min(2**deepest, model.encoder.output_stride),
        dims=2,
    )
    return (*found, bottleneck)


def slot(model: Any, site: Site) -> Slot:
    """The slot of a site, made where there is none; the model's class then refuses what would lose it."""
    if not isinstance(model, Furnished):
        model.__class__ = _furnished(model.__class__)
    if site.name == "bottleneck":
        center = model.decoder.center
        if isinstance(center, nn.Sequential) and not isinstance(center[-1], Slot):
            center.append(Slot())
        elif isinstance(center, nn.Identity):
            model.decoder.center = Slot()
    else:
        block = model.get_submodule(site.beside)
        if not isinstance(block, FurnishedBlock):
            block.__class__ = FurnishedBlock
            block.slot = Slot()
    return cast("Slot", model.get_submodule(site.path))


def _refuse_strangers(model: Any) -> None:
    parts = [model.decoder, *getattr(model.decoder, "blocks", ())]
    for part in parts:
        if type(part) not in (UnetDecoder, UnetDecoderBlock, FurnishedBlock):
            raise AttnzooError(
                f"`{type(part).__name__}` in the decoder of this `{type(model).__name__}` is not smp's",
                "furnish a model whose decoder is as smp builds it",
            )


@cache
def _furnished(cls: Any) -> Any:
    """A subclass of the model's class that goes by its name."""
    return type(cls.__name__, (Furnished, cls), {"__module__": cls.__module__, "__qualname__": cls.__qualname__})


def _revive(cls: Any) -> Any:
    """A blank furnished model of a class; its state comes next."""
    furnished = _furnished(cls)
    return furnished.__new__(furnished)
