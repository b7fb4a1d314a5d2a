"""A picture with its classes laid over it, and a legend that names them."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from attnzoo import palette

OPACITY = 0.45
LONGEST = 384  # small pictures are enlarged by a whole number, so that one can see something
FONT, MARGIN = 14, 10
INK, PAPER = (20, 20, 20), (255, 255, 255)
_SWATCH = 14


def overlay(
    pixels: np.ndarray, mask: np.ndarray, classes: Sequence[str], window: tuple[float, float] | None = None
) -> Image.Image:
    """Draw classes over an image, outlined in their own colour, and a legend with each class's share of the pixels.

    The outline is opaque: a colour laid over bone and over brain is two colours, and none of the legend's.

    Args:
        pixels: uint8 or uint16, (H, W) or (H, W, 3).
        mask: Class indices (H, W); 0, the background, stays as it is.
        classes: Names by index.
        window: The interval of intensities that is shown from black to white; by default the whole range of the type.
    """
    picture = visible(pixels, window).astype(np.float64)
    colours = np.array([palette.colour(index) for index in range(256)], np.float64)[mask]
    blended = np.where((mask > 0)[..., None], (1 - OPACITY) * picture + OPACITY * colours, picture)
    blended, colours, enlarged = map(enlarge, (blended, colours, mask))
    blended[_outline(enlarged)] = colours[_outline(enlarged)]
    return beside(Image.fromarray(blended.round().astype(np.uint8)), _legend(mask, classes))


def enlarge(array: np.ndarray) -> np.ndarray:
    """Small pictures, (H, W) or (H, W, 3), are repeated by a whole number."""
    factor = max(1, -(-LONGEST // max(array.shape[:2])))
    return array.repeat(factor, axis=0).repeat(factor, axis=1)


def _outline(mask: np.ndarray) -> np.ndarray:
    """The pixels of a class that touch another one, or the picture's edge, on one of four sides: bool (H, W)."""
    around = np.pad(mask, 1)
    neighbours = (around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:])
    touches = np.logical_or.reduce([neighbour != mask for neighbour in neighbours])
    outline: np.ndarray = touches & (mask > 0)
    return outline


def visible(pixels: np.ndarray, window: tuple[float, float] | None) -> np.ndarray:
    """8-bit RGB (H, W, 3)."""
    low, high = window or (0, np.iinfo(pixels.dtype).max)
    scaled = ((pixels.astype(np.float64) - low) / (high - low)).clip(0, 1) * 255
    return (np.stack([scaled] * 3, axis=-1) if pixels.ndim == 2 else scaled).round().astype(np.uint8)


def _legend(mask: np.ndarray, classes: Sequence[str]) -> Image.Image:
    shares = np.bincount(mask.reshape(-1), minlength=256) / mask.size
    lines = [(palette.colour(index), f"{name}  {shares[index]:.1%}") for index, name in enumerate(classes) if index]
    font = ImageFont.load_default(FONT)
    width = max((int(font.getlength(line)) for _, line in lines), default=0)
    step = _SWATCH + MARGIN // 2
    legend = Image.new("RGB", (_SWATCH + 3 * MARGIN + width, step * len(lines) + 2 * MARGIN), PAPER)
    draw = ImageDraw.Draw(legend)
    for row, (colour, line) in enumerate(lines):
        top = MARGIN + row * step
        draw.rectangle((MARGIN, top, MARGIN + _SWATCH, top + _SWATCH), fill=colour, outline=INK)
        draw.text((2 * MARGIN + _SWATCH, top + _SWATCH // 2), line, fill=INK, font=font, anchor="lm")
    return legend


def beside(left: Image.Image, right: Image.Image) -> Image.Image:
    """Two pictures side by side, from the top."""
    both = Image.new("RGB", (left.width + right.width, max(left.height, right.height)), PAPER)
    both.paste(left, (0, 0))
    both.paste(right, (left.width, 0))
    return both
