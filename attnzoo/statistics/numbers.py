"""How numbers are written in sentences: as many digits as their interval bears."""

import math

NAMES = {"dice": "Dice", "iou": "IoU", "hd95": "HD95", "nsd": "NSD", "ece": "ECE"}
COUNTED = ("dice", "iou", "precision", "recall")  # ratios of counted pixels; other scores are an image's own


def metric_name(metric: str) -> str:
    """How readers know a metric."""
    return NAMES.get(metric, metric)


def signed(value: float, digits: int) -> str:
    """A difference, always with its sign; zero has none."""
    text = f"{abs(value):.{digits}f}"
    return text if float(text) == 0 else f"{'−' if value < 0 else '+'}{text}"


def size(value: float) -> str:
    """A size with two significant digits; from 100 on, whole numbers."""
    return f"{value:.{digits_for(value)}f}"


def digits_for(width: float) -> int:
    """Decimal places that show two significant digits of a width."""
    return min(6, max(0, 1 - math.floor(math.log10(width)))) if 0 < width < math.inf else 4


def p_text(p: float) -> str:
    """`p = 0.004`, `p < 0.001`."""
    if p < 0.001:
        return "p < 0.001"
    return f"p = {p:.2f}" if p >= 0.1 else f"p = {p:.3f}"


def percent(level: float) -> str:
    """`95 %`."""
    return f"{100 * level:.6g} %"


def count(number: int, word: str, plural: str | None = None) -> str:
    """`1 seed`, `5 seeds`."""
    return f"{number:,} {word if number == 1 else plural or f'{word}s'}"
