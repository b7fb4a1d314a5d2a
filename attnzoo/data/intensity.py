"""Where the intensities of many images lie."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Intensity:
    """The values of all images of one depth; 90 % of those between the extremes (often clipped) are in `low`…`high`."""

    smallest: int
    low: int
    median: int
    high: int
    largest: int
    full_scale: int

    @property
    def narrow(self) -> bool:
        """Whether those 90 % fill less than half of the depth's range, so that a window would help."""
        return (self.high - self.low) * 2 < self.full_scale


class Histogram:
    """Counts of every value, for 8-bit and 16-bit images apart."""

    def __init__(self) -> None:
        self._counts = {"8-bit": np.zeros(256, dtype=np.int64), "16-bit": np.zeros(65536, dtype=np.int64)}

    def add(self, values: np.ndarray) -> str:
        """Count an image; returns its kind: "8-bit grey", "8-bit colour" or "16-bit grey"."""
        depth = "8-bit" if values.dtype == np.uint8 else "16-bit"
        counts = self._counts[depth]
        counts += np.bincount(values.ravel(), minlength=len(counts))
        return f"{depth} {'grey' if values.ndim == 2 else 'colour'}"

    def read(self) -> Mapping[str, Intensity]:
        """What was counted, by depth; a depth without an image is left out."""
        return {depth: _intensity(counts) for depth, counts in self._counts.items() if counts.any()}


def _intensity(counts: np.ndarray) -> Intensity:
    present = np.flatnonzero(counts)
    inner = counts.copy()
    inner[[present[0], present[-1]]] = 0
    if not inner.any():
        inner = counts
    share = np.cumsum(inner) / inner.sum()
    low, middle, high = (int(np.searchsorted(share, part)) for part in (0.05, 0.5, 0.95))
    return Intensity(int(present[0]), low, middle, high, int(present[-1]), len(counts) - 1)
