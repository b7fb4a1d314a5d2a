"""What was found: a value, and the reason where it is no."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """`value` is `yes`, `no`, `not tried` or a measurement; `reason` says why not, or under which condition."""

    value: str
    reason: str = ""


YES = Cell("yes")


def no(reason: str) -> Cell:
    """Not so, because."""
    return Cell("no", reason)
