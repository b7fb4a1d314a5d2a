"""A picture of what one block of attention does to one image, with the scale of its colours and what they mean."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from attnzoo.skip import Shown
from attnzoo.workflows.overlay import FONT, INK, LONGEST, MARGIN, PAPER, beside, enlarge, visible

Numbers = npt.NDArray[np.float64]

OPACITY = 0.6
_BAR, _LINE, _MARK = 16, 20, 3
# viridis (Smith & van der Walt, 2015), at fifths: dark to bright in equal steps for eyes of any kind
_COLOURS = np.array(
    [(68, 1, 84), (65, 68, 135), (42, 120, 142), (34, 168, 132), (122, 209, 81), (253, 231, 37)], np.float64
)
_WHAT = {"scale": "factor", "add": "what is added", "mix": "change"}


@dataclass(frozen=True)
class Alone:
    """The map of a block by itself: what its numbers are, their range, and the sides of the map."""

    picture: Image.Image
    what: str
    low: float
    high: float
    sides: tuple[int, ...]


def alone(shown: Shown, size: tuple[int, int]) -> Alone:
    """What `heat` draws without image, scale and caption, at a size (H, W); of one position a stripe per channel."""
    numbers = np.asarray(shown.tensor[0].double().cpu(), np.float64)  # (C, h, w)
    if numbers[0].size == 1:
        what, plane = f"{_WHAT[shown.kind]}, channel by channel from the left", numbers.reshape(1, -1)
        plane = _resized(plane, (size[0] // 4, max(size[1], plane.size)))
    else:
        what, plane = _plane(numbers, shown.kind)
        plane = _resized(plane, size)
    low, high = _range(plane)
    return Alone(_image(_colours(plane, low, high), whole=True), what, low, high, numbers.shape[1:])


def heat(
    pixels: np.ndarray, shown: Shown, block: str, site: str, *, window: tuple[float, float] | None, gamma: float | None
) -> Image.Image:
    """Draw the map of a block over the image, and beside it alone: colours from its smallest number to its largest.

    Over the image no colour is quite the scale's; alone it is. A caption says what the numbers are. Several channels
    become one: of a factor their mean, of what is added or changed the L2 norm, as signs would cancel. A map of one
    position has nothing to lay over the image: its numbers are drawn beside it, channel by channel from the left.

    Args:
        pixels: uint8 or uint16, (H, W) or (H, W, 3).
        shown: The map of this one image.
        block: The block as it was spelt.
        site: Where it sits.
        window: The interval of intensities that is shown from black to white; by default the whole range of the type.
        gamma: The γ of a residual slot, which weighs what the map shows.
    """
    numbers = np.asarray(shown.tensor[0].double().cpu(), np.float64)  # (C, h, w)
    grey = visible(pixels, window).mean(-1, keepdims=True)
    if numbers[0].size == 1:
        what, values = f"{_WHAT[shown.kind]}, channel by channel from the left", numbers.reshape(-1)
        low, high = _range(values)
        picture = beside(_image(grey.repeat(3, -1)), _marks(values, low, high))
    else:
        what, plane = _plane(numbers, shown.kind)
        low, high = _range(plane)
        placed = _colours(_resized(plane, grey.shape[:2]), low, high)
        over = beside(_image((1 - OPACITY) * grey + OPACITY * placed), _image(placed))
        picture = beside(over, _scale(low, high))
    lines = [
        f"{block} at {site}",
        what,
        f"{_number(low)} to {_number(high)}, map of {'x'.join(map(str, numbers.shape[1:]))}",
    ]
    if not np.isfinite(numbers).all():
        lines.append("white, or missing: no finite number")
    if gamma is not None:
        lines.append(f"residual slot: its change is taken {_number(gamma)} times")
    return _above(picture, lines)


def _plane(numbers: Numbers, kind: str) -> tuple[str, Numbers]:
    """What is shown, in words, and its one number per position."""
    channels = len(numbers)
    if kind == "mix":
        return f"{_WHAT[kind]}, L2 norm over the channels", numbers[0]
    if channels == 1:
        return f"{_WHAT[kind]}, one for all channels", numbers[0]
    if kind == "scale":
        return f"{_WHAT[kind]}, mean over {channels} channels", numbers.mean(0)
    return f"{_WHAT[kind]}, L2 norm over {channels} channels", np.sqrt((numbers**2).sum(0))


def _range(values: Numbers) -> tuple[float, float]:
    """The smallest and the largest finite number."""
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def _resized(plane: Numbers, size: tuple[int, ...]) -> Numbers:
    """Every pixel has the number of the position that it lies in: nothing is interpolated."""
    rows, columns = ((np.arange(to) * 2 + 1) * of // (2 * to) for to, of in zip(size, plane.shape, strict=True))
    return plane[np.ix_(rows, columns)]


def _colours(values: Numbers, low: float, high: float) -> Numbers:
    """(…) → (…, 3); what is not finite is white."""
    share = np.nan_to_num((values - low) / ((high - low) or 1.0)).clip(0, 1) * (len(_COLOURS) - 1)
    steps = np.arange(len(_COLOURS))
    colours = np.stack([np.interp(share, steps, channel) for channel in _COLOURS.T], axis=-1)
    return np.where(np.isfinite(values)[..., None], colours, 255.0)


def _scale(low: float, high: float) -> Image.Image:
    """The colour bar, the largest number on top."""
    bar = _colours(np.linspace(high, low, LONGEST - 2 * MARGIN), low, high)[:, None].repeat(_BAR, 1)
    legend, draw, font = _sheet(_BAR + 3 * MARGIN + _width([_number(low), _number(high)]), LONGEST)
    legend.paste(_image(bar, whole=True), (MARGIN, MARGIN))
    for value, height, anchor in ((high, MARGIN, "lt"), (low, LONGEST - MARGIN, "ls")):
        draw.text((2 * MARGIN + _BAR, height), _number(value), fill=INK, font=font, anchor=anchor)
    return legend


def _marks(values: Numbers, low: float, high: float) -> Image.Image:
    """A mark for each channel, from the left, as high as its number."""
    step = max(1, LONGEST // len(values))
    label = _width([_number(low), _number(high)])
    legend, draw, font = _sheet(label + 3 * MARGIN + step * len(values), LONGEST)
    height = LONGEST - 2 * MARGIN - _MARK
    for value, top, anchor in ((high, MARGIN, "rt"), (low, LONGEST - MARGIN, "rs")):
        draw.text((MARGIN + label, top), _number(value), fill=INK, font=font, anchor=anchor)
    colours = _colours(values, low, high).round().astype(int)
    for channel in np.flatnonzero(np.isfinite(values)):
        left = 2 * MARGIN + label + step * int(channel)
        top = MARGIN + round(height * (high - values[channel]) / ((high - low) or 1.0))
        draw.line((left, LONGEST - MARGIN, left, top), fill=(225, 225, 225))
        draw.rectangle((left, top, left + step - 1, top + _MARK), fill=tuple(map(int, colours[channel])))
    return legend


def _above(picture: Image.Image, lines: list[str]) -> Image.Image:
    """A caption under a picture, as wide as it needs to be."""
    sheet, draw, font = _sheet(
        max(picture.width, _width(lines) + 2 * MARGIN), picture.height + _LINE * len(lines) + MARGIN
    )
    sheet.paste(picture, (0, 0))
    for row, line in enumerate(lines):
        draw.text((MARGIN, picture.height + MARGIN + row * _LINE), line, fill=INK, font=font, anchor="lt")
    return sheet


def _sheet(
    width: int, height: int
) -> tuple[Image.Image, ImageDraw.ImageDraw, ImageFont.FreeTypeFont | ImageFont.ImageFont]:
    sheet = Image.new("RGB", (width, height), PAPER)
    return sheet, ImageDraw.Draw(sheet), ImageFont.load_default(FONT)


def _width(lines: list[str]) -> int:
    return max(int(ImageFont.load_default(FONT).getlength(line)) + 1 for line in lines)


def _image(colours: Numbers, *, whole: bool = False) -> Image.Image:
    """(H, W, 3) as a picture, enlarged if it is small and not `whole` already."""
    drawn = colours.round().astype(np.uint8)
    return Image.fromarray(drawn if whole else enlarge(drawn))


def _number(value: float) -> str:
    return f"{value:.4g}"
