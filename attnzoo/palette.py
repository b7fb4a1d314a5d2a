"""Class index → colour: one palette for masks, overlays and figures, told apart by colour-blind eyes too."""

_COLOURS = (
    # Okabe & Ito, "Color Universal Design", 2008, without its black, which is the background's
    *((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167)),
    # then each time the colour farthest in CIELAB from all before it, seen with normal and with colour-blind eyes
    *((120, 0, 240), (0, 255, 135), (105, 60, 15), (60, 45, 165), (165, 255, 240), (255, 0, 90), (135, 0, 60)),
    *((195, 105, 255), (135, 0, 120), (255, 195, 180), (225, 210, 255), (195, 165, 75), (105, 105, 60), (210, 15, 180)),
)
BACKGROUND = (0, 0, 0)
IGNORED = (160, 160, 160)


def colour(index: int) -> tuple[int, int, int]:
    """The RGB colour (0…255) of a class index: 0 is black, 255 (ignored) grey; colours repeat after 21 classes."""
    if index == 0:
        return BACKGROUND
    if index == 255:
        return IGNORED
    return _COLOURS[(index - 1) % len(_COLOURS)]


def flat() -> list[int]:
    """All 256 colours in a row (768 numbers), as Pillow's `putpalette` wants them."""
    return [channel for index in range(256) for channel in colour(index)]
