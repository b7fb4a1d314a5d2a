"""Class index → colour: one palette for masks, overlays and figures, told apart by colour-blind eyes too."""

# Okabe & Ito, "Color Universal Design", 2008, without its black, which is the background's
_OKABE_ITO = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
_STEPS = (1.0, 0.55, 1.45)  # the same hues, darker, then lighter, for more classes than hues
BACKGROUND = (0, 0, 0)
IGNORED = (160, 160, 160)


def colour(index: int) -> tuple[int, int, int]:
    """The RGB colour (0…255) of a class index: 0 is black, 255 (ignored) grey; colours repeat after 21 classes."""
    if index == 0:
        return BACKGROUND
    if index == 255:
        return IGNORED
    step = _STEPS[(index - 1) // len(_OKABE_ITO) % len(_STEPS)]
    red, green, blue = (min(255, round(channel * step)) for channel in _OKABE_ITO[(index - 1) % len(_OKABE_ITO)])
    return red, green, blue


def flat() -> list[int]:
    """All 256 colours in a row (768 numbers), as Pillow's `putpalette` wants them."""
    return [channel for index in range(256) for channel in colour(index)]
