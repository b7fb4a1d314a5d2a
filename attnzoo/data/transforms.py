"""From a file's pixels to what the network sees: intensities, size, augmentation by name, normalisation."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Generator, Tensor
from torchvision import tv_tensors
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from attnzoo.data.records import IGNORE
from attnzoo.errors import AttnzooError, did_you_mean, listing
from attnzoo.recipe import Data

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # means and deviations of red, green, blue in 0…1

BILINEAR, NEAREST_EXACT = InterpolationMode.BILINEAR, InterpolationMode.NEAREST_EXACT
Pair = tuple[Tensor, Tensor]  # an image and its labels
Pixels = npt.NDArray[np.integer[Any]]


def _uniform(low: float, high: float, generator: Generator) -> float:
    return float(torch.empty(()).uniform_(low, high, generator=generator))


def _warp(image: Tensor, mask: Tensor, angle: float, shift: tuple[float, float], scale: float) -> Pair:
    """Rotate (degrees), shift (shares of height and width) and scale; what comes in from outside is 0, and ignored."""
    pixels = [shift[1] * image.shape[-1], shift[0] * image.shape[-2]]

    # the type decides the interpolation: a tv_tensors.Mask takes the nearest label whatever is asked for here
    move = partial(F.affine, angle=angle, translate=pixels, scale=scale, shear=[0.0, 0.0], interpolation=BILINEAR)
    return move(image, fill=0.0), move(mask, fill=IGNORE)


def _hflip(image: Tensor, mask: Tensor, generator: Generator) -> Pair:
    return (F.hflip(image), F.hflip(mask)) if _uniform(0, 1, generator) < 0.5 else (image, mask)


def _vflip(image: Tensor, mask: Tensor, generator: Generator) -> Pair:
    return (F.vflip(image), F.vflip(mask)) if _uniform(0, 1, generator) < 0.5 else (image, mask)


def _rotate(image: Tensor, mask: Tensor, generator: Generator) -> Pair:
    return _warp(image, mask, _uniform(-15, 15, generator), (0.0, 0.0), 1.0)


def _scale(image: Tensor, mask: Tensor, generator: Generator) -> Pair:
    return _warp(image, mask, 0.0, (0.0, 0.0), _uniform(0.9, 1.1, generator))


def _translate(image: Tensor, mask: Tensor, generator: Generator) -> Pair:
    return _warp(image, mask, 0.0, (_uniform(-0.1, 0.1, generator), _uniform(-0.1, 0.1, generator)), 1.0)


def _affine(image: Tensor, mask: Tensor, generator: Generator) -> Pair:
    angle, scale = _uniform(-15, 15, generator), _uniform(0.9, 1.1, generator)
    return _warp(image, mask, angle, (_uniform(-0.1, 0.1, generator), _uniform(-0.1, 0.1, generator)), scale)


def _brightness(image: Tensor, mask: Tensor, generator: Generator) -> Pair:
    return F.adjust_brightness(image, _uniform(0.8, 1.2, generator)), mask


def _contrast(image: Tensor, mask: Tensor, generator: Generator) -> Pair:
    return F.adjust_contrast(image, _uniform(0.8, 1.2, generator)), mask


def _noise(image: Tensor, mask: Tensor, generator: Generator) -> Pair:
    deviation = _uniform(0, 0.05, generator)
    # F.gaussian_noise would draw from the global stream
    return (image + deviation * torch.randn(image.shape, generator=generator)).clamp(0, 1), mask


def _blur(image: Tensor, mask: Tensor, generator: Generator) -> Pair:
    return F.gaussian_blur(image, [5, 5], [_uniform(0.1, 1.0, generator)]), mask


# every augmentation that a recipe can name; brightness and contrast clip to 0…1 as noise does
AUGMENTATIONS: dict[str, Callable[[Tensor, Tensor, Generator], Pair]] = {
    "hflip": _hflip,  # left and right exchanged, every second time
    "vflip": _vflip,  # top and bottom exchanged, every second time
    "rotate": _rotate,  # up to 15 degrees either way
    "scale": _scale,  # by 0.9 to 1.1
    "translate": _translate,  # up to 0.1 of height and of width either way
    "affine": _affine,  # rotate, scale and translate in one interpolation
    "brightness": _brightness,  # times 0.8 to 1.2
    "contrast": _contrast,  # times 0.8 to 1.2 about the mean
    "noise": _noise,  # Gaussian, of a deviation up to 0.05 of the window
    "blur": _blur,  # Gaussian, of a deviation up to 1 pixel
}


@dataclass(frozen=True)
class Pipeline:
    """What a recipe does to images and masks, in this order: window, size, augmentation, channels, normalisation.

    Images are resized bilinearly with antialiasing; masks take the label at the nearest pixel centre
    (`nearest-exact`, the same grid as the images'). Augmented masks are 255, and images 0, where nothing was.
    """

    options: Data
    in_channels: int
    train: bool

    def __call__(self, image: Pixels, mask: Pixels, generator: Generator | None = None) -> Pair:
        """An image (h, w) or (h, w, 3) and its labels (h, w) as float32 (in_channels, H, W) and int64 (H, W).

        Args:
            image: uint8 or uint16 as decoded.
            mask: uint8; 255 is ignored.
            generator: Source of the augmentation, the only one; without it, and when not training, there is none.
        """
        return self.finish(*self.prepare(image, mask), generator)

    def image(self, image: Pixels) -> Tensor:
        """An image alone, for prediction: float32 (in_channels, H, W)."""
        return self(image, np.zeros(image.shape[:2], np.uint8))[0]

    def prepare(self, image: Pixels, mask: Pixels) -> Pair:
        """The part that every epoch shares: 0…1 by the window, the network's size. (1 or 3, H, W) and (1, H, W)."""
        channels = 1 if image.ndim == 2 else image.shape[2]
        if channels not in (1, 3) or (channels == 3 and self.in_channels not in (1, 3)):
            raise AttnzooError(
                f"`model.in_channels = {self.in_channels}` cannot take an image of `{channels}` channels",
                "grey images fit any number of channels, colour images 1 or 3",
            )
        low, high = self.options.window or (0, np.iinfo(image.dtype).max)
        pixels = torch.from_numpy(image.astype(np.float32).reshape(*image.shape[:2], channels)).permute(2, 0, 1)
        pixels = ((pixels - low) / (high - low)).clamp(0, 1)
        if channels == 3 and self.in_channels == 1:
            pixels = F.rgb_to_grayscale(pixels)  # ITU-R BT.601: 0.299 red, 0.587 green, 0.114 blue
        size = list(self.options.image_size)
        pixels = F.resize(pixels, size, BILINEAR, antialias=True)
        # the image kernel on purpose: for a tv_tensors.Mask older torchvisions know only `nearest`, half a pixel off
        labels = F.resize_image(torch.from_numpy(mask)[None], size, NEAREST_EXACT)
        return tv_tensors.Image(pixels), tv_tensors.Mask(labels)

    def finish(self, image: Tensor, mask: Tensor, generator: Generator | None = None) -> Pair:
        """What `prepare` gave, augmented, in the network's channels and normalised."""
        mask = tv_tensors.Mask(mask)  # a plain tensor would be interpolated like an image
        if self.train and generator is not None:
            for name in self.options.augmentation:
                image, mask = AUGMENTATIONS[name](image, mask, generator)
        pixels = image.as_subclass(Tensor).expand(self.in_channels, -1, -1)
        if self.options.normalisation == "imagenet":
            means, deviations = torch.tensor(IMAGENET)[:, :, None, None]
            pixels = (pixels - means) / deviations
        elif self.options.normalisation == "image":
            # an image of one value stays zero
            pixels = (pixels - pixels.mean()) / pixels.std(correction=0).clamp(min=1e-6)
        # a copy: `image` may be remembered for the next epoch
        return pixels.clone(memory_format=torch.contiguous_format), mask.as_subclass(Tensor)[0].long()


def pipeline(options: Data, in_channels: int, train: bool) -> Pipeline:
    """The transforms of a recipe.

    Raises:
        AttnzooError: An augmentation has no such name, or the normalisation does not fit the number of channels.
    """
    for name in options.augmentation:
        if name not in AUGMENTATIONS:
            raise AttnzooError(
                f"`data.augmentation` knows no `{name}`",
                did_you_mean(name, AUGMENTATIONS) or f"possible: {listing(AUGMENTATIONS)}",
            )
    if options.normalisation == "imagenet" and in_channels != 3:
        raise AttnzooError(
            f"`data.normalisation = imagenet` needs `model.in_channels = 3`, not `{in_channels}`",
            "take 3 channels, or the normalisation `image` or `none`",
        )
    return Pipeline(options, in_channels, train)
