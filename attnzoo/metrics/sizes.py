"""Small, medium and large: scores by how large a class is in an image's truth, and images without any apart.

A pair is an image and a foreground class that its truth holds. Its size is its number of true pixels, and the
terciles of the sizes depend on nothing else, so they are the same for every network scored on the split.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from attnzoo.metrics.overlap import Counts, as_array

STRATA = ("small", "medium", "large")


def strata(matrices: Counts, class_names: Sequence[str]) -> dict[str, Any]:
    """Global Dice by tercile of size: counts (N, K, K) → for each, from and to how many pixels, pairs, and Dice.

    A stratum's Dice of a class comes from the summed counts of its pairs, and its macro is the mean over the classes
    that it has. Equal sizes share a stratum; one that is left without pairs has None for its scores.
    """
    counts = as_array(matrices)
    true, predicted = counts.sum(axis=2)[:, 1:], counts.sum(axis=1)[:, 1:]
    hits = np.diagonal(counts, axis1=1, axis2=2)[:, 1:]
    sizes = np.sort(true[true > 0])
    # the first and the second third's largest, in integers, where a quantile would lie between two of them
    limits = [int(sizes[-(-len(sizes) * third // 3) - 1]) if len(sizes) else 0 for third in (1, 2, 3)]
    table: dict[str, Any] = {}
    for name, low, high in zip(STRATA, (0, *limits[:2]), limits, strict=True):
        pairs = (true > low) & (true <= high)
        number = pairs.sum(axis=0)
        both = np.where(pairs, true + predicted, 0).sum(axis=0)
        dice = 2 * np.where(pairs, hits, 0).sum(axis=0) / np.maximum(both, 1)
        has = number > 0
        table[name] = {
            "from_pixels": low + 1,
            "to_pixels": high,
            "pairs": int(number.sum()),
            "dice": float(dice[has].mean()) if has.any() else None,
            "averaged": int(has.sum()),
            "per_class": {
                of: {"pairs": int(number[index]), "dice": float(dice[index]) if has[index] else None}
                for index, of in enumerate(class_names[1:])
            },
        }
    return table


def empty_images(matrices: Counts) -> dict[str, int]:
    """Images whose truth has no foreground: how many, in how many something is found, and on how many pixels."""
    counts = as_array(matrices)
    empty = counts[counts[:, 1:].sum(axis=(1, 2)) == 0]
    extra = empty[:, 0, 1:].sum(axis=1)
    return {
        "images": len(empty),
        "with_false_positives": int((extra > 0).sum()),
        "false_positive_pixels": int(extra.sum()),
    }
