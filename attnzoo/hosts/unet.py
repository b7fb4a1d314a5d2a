"""The U-Net of Ronneberger et al., MICCAI 2015, with padding, batch norm, and a slot at every stage and every skip.

At its defaults it is the network under both models of "EMA-Attention U-Net": three poolings, widths 64 to 512.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from attnzoo.errors import AttnzooError
from attnzoo.hosts import Site
from attnzoo.skip import Slot

_CONV = {2: nn.Conv2d, 3: nn.Conv3d}
_NORM = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_POOL = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
_UP = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


class UNet(nn.Module):
    """Encoder, bottleneck and decoder; every skip passes its slot before it is concatenated.

    So does what a stage gives: the encoder's before it becomes the skip, the decoder's before it goes up.

    Sizes need not divide: pooling rounds up, and the decoder's feature is cropped to the skip. At sizes that divide by
    2**depth this is the plain U-Net, and only those can stay open in `torch.export` (`8 * torch.export.Dim("h")`).

    Args:
        in_channels: Channels of the image.
        classes: Output channels, the background included.
        widths: Channels of every level, the bottleneck's last; or those of the first level, doubled `depth` times.
        depth: Number of poolings, where `widths` is one number (3 if unsaid).
        dims: Spatial dimensions of the image, 2 or 3.

    Shape:
        (B, in_channels, *spatial) → (B, classes, *spatial), of any size; in training mode batch norm wants more than
        one value per channel at the bottleneck, so a single image must have an edge of more than 2**depth.

    Raises:
        AttnzooError: For impossible numbers here, for an input of another shape in `forward`.
    """

    def __init__(
        self,
        in_channels: int = 3,
        classes: int = 12,
        *,
        widths: int | Sequence[int] = (64, 128, 256, 512),
        depth: int | None = None,
        dims: int = 2,
    ) -> None:
        super().__init__()
        if dims not in (2, 3):
            raise AttnzooError(f"`UNet` has no dims={dims!r}", "dims is 2 for images and 3 for volumes")
        _check_positive(in_channels=in_channels, classes=classes)
        self.in_channels, self.classes, self.dims = in_channels, classes, dims
        self.widths = _levels(widths, depth)
        *fine, deepest = self.widths

        self.encoder = nn.ModuleList(
            _convolutions(before, width, dims) for before, width in pairwise((in_channels, *fine))
        )
        self.pool = _POOL[dims](kernel_size=2, ceil_mode=True)
        self.bottleneck = _convolutions(fine[-1], deepest, dims)
        self.bottleneck_slot = Slot()
        self.skips = nn.ModuleList(Slot() for _ in fine)
        self.encoder_slots = nn.ModuleList(Slot() for _ in fine)
        self.decoder_slots = nn.ModuleList(Slot() for _ in fine)
        self.upsampling = nn.ModuleList(
            _UP[dims](below, width, kernel_size=2, stride=2) for width, below in pairwise(self.widths)
        )
        self.decoder = nn.ModuleList(_convolutions(2 * width, width, dims) for width in fine)
        self.head = _CONV[dims](self.widths[0], classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        self._check_input(x)
        features = []
        for stage, slot in zip(self.encoder, self.encoder_slots, strict=True):
            x = slot(stage(x))
            features.append(x)
            x = self.pool(x)
        x = self.bottleneck_slot(self.bottleneck(x))
        levels = zip(features, self.skips, self.upsampling, self.decoder, self.decoder_slots, strict=True)
        for feature, on_skip, upsample, stage, slot in reversed(list(levels)):
            upsampled = _crop(upsample(x), feature)
            skip = on_skip(feature, upsampled=upsampled, coarse=x)
            x = slot(stage(torch.cat([skip, upsampled], dim=1)))
        logits: Tensor = self.head(x)
        return logits  # (B, classes, *spatial)

    def _check_input(self, x: Tensor) -> None:
        # a trace would record the comparison, and warn of it
        if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
            return
        if x.dim() == self.dims + 2 and x.shape[1] == self.in_channels:
            self._check_size(x.shape[0], x.shape[2:])
            return
        hint = "build it with dims=2 for images, dims=3 for volumes"
        if x.dim() == self.dims + 1:
            hint = "add the batch dimension: `x[None]`"
        elif x.dim() == self.dims + 2:
            hint = f"build it for them: `UNet(in_channels={x.shape[1]})`"
        wanted = ", ".join(["B", str(self.in_channels), *("D", "H", "W")[-self.dims :]])
        raise AttnzooError(f"`UNet` takes inputs shaped `({wanted})`, not `{tuple(x.shape)}`", hint)

    def _check_size(self, batch: int, size: Sequence[int]) -> None:
        coarsest = 2 ** (len(self.widths) - 1)
        if 0 in size:
            raise AttnzooError(
                f"`UNet` cannot take an image of size `{'×'.join(map(str, size))}`", "every edge is 1 or more"
            )
        if self.bottleneck.training and batch == 1 and max(size) <= coarsest:
            raise AttnzooError(
                f"`UNet` cannot train on a single image of size `{'×'.join(map(str, size))}`, "
                "which is one pixel at the bottleneck",
                f"take an edge of {coarsest + 1} or more, or two images or more",
            )


def sites(model: UNet) -> tuple[Site, ...]:
    """Encoder, skips, bottleneck, decoder; each from the finest level down."""

    def at(family: str, slots: str, beside: str, *, hears: bool = False) -> tuple[Site, ...]:
        return tuple(
            Site(
                name=f"{family}{level}",
                path=f"{slots}.{level - 1}",
                beside=f"{beside}.{level - 1}",
                level=level,
                channels=width,
                gates={"upsampled": width, "coarse": coarse} if hears else {},
                stride=2 ** (level - 1),
                dims=model.dims,
            )
            for level, (width, coarse) in enumerate(pairwise(model.widths), start=1)
        )

    width, depth = model.widths[-1], len(model.widths) - 1
    bottleneck = Site("bottleneck", "bottleneck_slot", "bottleneck", depth + 1, width, {}, 2**depth, model.dims)
    return (
        *at("encoder", "encoder_slots", "encoder"),
        *at("skip", "skips", "decoder", hears=True),
        bottleneck,
        *at("decoder", "decoder_slots", "decoder"),
    )


def slot(model: UNet, site: Site) -> Slot:
    """The slot of a site; `UNet` has all of them from the start."""
    return cast("Slot", model.get_submodule(site.path))


def _levels(widths: int | Sequence[int], depth: int | None) -> tuple[int, ...]:
    """The width of every level, the bottleneck's last."""
    if isinstance(widths, int):
        depth = 3 if depth is None else depth
        _check_positive(widths=widths, depth=depth)
        return tuple(widths * 2**level for level in range(depth + 1))
    if not isinstance(widths, Sequence) or isinstance(widths, str):
        raise AttnzooError(f"`UNet` cannot have widths={widths!r}", "give one whole number, or a list of two or more")
    if depth is not None:
        raise AttnzooError(
            f"`UNet` has depth={depth} beside {len(widths)} widths",
            f"leave depth out, or write one number: widths={widths[0]}",
        )
    if len(widths) < 2:
        raise AttnzooError(
            f"`UNet` cannot have widths={tuple(widths)}", "give two widths or more, the last is the bottleneck's"
        )
    for width in widths:
        _check_positive(widths=width)
    return tuple(widths)


def _check_positive(**numbers: int) -> None:
    for name, number in numbers.items():
        if type(number) is not int or number < 1:
            raise AttnzooError(f"`UNet` cannot have {name}={number!r}", "give a whole number from 1 up")


def _convolutions(before: int, width: int, dims: int) -> nn.Sequential:
    """(3×3 convolution, batch norm, ReLU) twice."""
    return nn.Sequential(
        _CONV[dims](before, width, 3, padding=1),
        _NORM[dims](width),
        nn.ReLU(inplace=True),
        _CONV[dims](width, width, 3, padding=1),
        _NORM[dims](width),
        nn.ReLU(inplace=True),
    )


def _crop(x: Tensor, like: Tensor) -> Tensor:
    """Cut what rounding up has added at the far ends."""
    for dim, size in enumerate(like.shape[2:], start=2):
        x = x.narrow(dim, 0, size)
    return x
