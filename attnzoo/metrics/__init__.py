"""What a prediction is worth: overlap from counts, boundaries in pixels, calibration, and all of it by lesion size."""

from attnzoo.metrics.boundaries import TOLERANCE, Boundary, boundaries, boundary_summary
from attnzoo.metrics.calibration import BINS, calibration, calibration_error, reliability
from attnzoo.metrics.overlap import (
    IGNORED,
    METRICS,
    ZERO_DIVISION,
    Absent,
    Counts,
    Macro,
    Scores,
    batch_average,
    confusion_per_image,
    macro,
    per_class,
    per_image,
    summary,
)
from attnzoo.metrics.sizes import empty_images, strata

__all__ = [
    "BINS",
    "IGNORED",
    "METRICS",
    "TOLERANCE",
    "ZERO_DIVISION",
    "Absent",
    "Boundary",
    "Counts",
    "Macro",
    "Scores",
    "batch_average",
    "boundaries",
    "boundary_summary",
    "calibration",
    "calibration_error",
    "confusion_per_image",
    "empty_images",
    "macro",
    "per_class",
    "per_image",
    "reliability",
    "strata",
    "summary",
]
