"""Numbers as the page writes them: a true minus, equal digits, `n/a` where there is none."""

import math

from attnzoo.report.table import UNDEFINED


def plain(value: float, digits: int = 4) -> str:
    """`0.8123`, `−0.0200`."""
    return f"{value:.{digits}f}".replace("-", "−") if math.isfinite(value) else UNDEFINED


def signed(value: float, digits: int = 4) -> str:
    """`+0.0123`, `−0.0200`."""
    if not math.isfinite(value):
        return UNDEFINED
    # what rounds to zero has no sign
    return f"{value:+.{digits}f}".replace("-", "−") if round(value, digits) else f"{0:.{digits}f}"


def span(low: float, high: float, digits: int = 4, *, sign: bool = False) -> str:
    """An interval: `[−0.0040, +0.0285]`; `n/a` where none can be had."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return UNDEFINED
    form = signed if sign else plain
    return f"[{form(low, digits)}, {form(high, digits)}]"


def chance(p: float) -> str:
    """A p-value: `0.032`, `< 0.001`."""
    return UNDEFINED if not math.isfinite(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def count(number: int, word: str) -> str:
    """`1 group`, `8 groups`, `2 classes`."""
    return f"{number:,} {word}{'' if number == 1 else 'es' if word.endswith('s') else 's'}"


def shown(smallest: float, digits: int = 4) -> str:
    """The smallest difference that could have been shown; `none` where that is more than two scores can differ by."""
    bounded = digits == 4  # pixels, of which there may be any number, have two
    return "none" if math.isinf(smallest) or (bounded and smallest > 1) else plain(smallest, digits)


def percent(level: float) -> str:
    """`95 %`."""
    return f"{100 * level:g} %"
