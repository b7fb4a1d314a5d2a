"""Which test images are shown: picked by rule from the reference arm's scores, never by eye. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

MOST = 12  # images on a page; picks beyond are named, and not drawn

Which = Literal["best", "median", "worst"]


@dataclass(frozen=True)
class Rule:
    """`worst` of a class, or of all (None), and the reference arm's Dice there."""

    which: Which
    of: str | None
    dice: float

    def __str__(self) -> str:
        return f"{self.which} for {self.of}" if self.of else f"{self.which} of all"


@dataclass(frozen=True)
class Pick:
    """An image, and all rules that chose it."""

    image: str
    rules: tuple[Rule, ...]

    @property
    def overall(self) -> bool:
        """Whether it is the best, median or worst of all images."""
        return any(rule.of is None for rule in self.rules)

    @property
    def focus(self) -> str | None:
        """The class that it was picked for, if it is one."""
        of = {rule.of for rule in self.rules}
        return of.pop() if len(of) == 1 else None


@dataclass(frozen=True)
class Picks:
    """The images to draw, and the rules for which there was no room or no image."""

    picks: tuple[Pick, ...]
    left_out: tuple[str, ...]


def image_dice(matrices: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Counts (N, K, K), rows truth → Dice of the foreground classes (N, K − 1), NaN where the truth lacks the class."""
    hits = np.diagonal(matrices, axis1=1, axis2=2).astype(np.float64)
    true, predicted = matrices.sum(2), matrices.sum(1)
    dice = np.where(true > 0, 2 * hits / np.maximum(true + predicted, 1), np.nan)
    return dice[:, 1:]


def pick(names: Sequence[str], dice: npt.NDArray[np.float64], classes: Sequence[str], most: int = MOST) -> Picks:
    """Best, median and worst of all images, then each class's worst, then each class's median, up to `most` images.

    An image's score is the mean Dice over the classes in its truth; one without any is no candidate. Of equals the
    first by name is taken; the median is the lower one.

    Args:
        names: Of the images.
        dice: As `image_dice` gives it.
        classes: The foreground's names.
    """
    defined = ~np.isnan(dice)
    overall = np.where(defined.any(1), np.nansum(dice, 1) / np.maximum(defined.sum(1), 1), np.nan)
    wanted: list[tuple[Which, str | None, npt.NDArray[np.float64]]]
    wanted = [(which, None, overall) for which in ("best", "median", "worst")]
    wanted += [("worst", name, dice[:, index]) for index, name in enumerate(classes)]
    wanted += [("median", name, dice[:, index]) for index, name in enumerate(classes)]
    chosen: dict[str, list[Rule]] = {}
    left_out = []
    for which, of, scores in wanted:
        found = _find(which, scores, names)
        if found is None:
            if which == "worst":
                left_out.append(f"no test image has {of or 'a class'} in its truth")
            continue
        rule = Rule(which, of, float(scores[found]))
        if names[found] in chosen or len(chosen) < most:
            chosen.setdefault(names[found], []).append(rule)
        else:
            left_out.append(f"no room for the image that is {rule}")
    return Picks(tuple(Pick(image, tuple(rules)) for image, rules in chosen.items()), tuple(left_out))


def _find(which: Which, scores: npt.NDArray[np.float64], names: Sequence[str]) -> int | None:
    candidates = [index for index in range(len(names)) if not np.isnan(scores[index])]
    if not candidates:
        return None
    if which == "best":
        return min(candidates, key=lambda index: (-scores[index], names[index]))
    rising = sorted(candidates, key=lambda index: (scores[index], names[index]))
    return rising[0 if which == "worst" else (len(rising) - 1) // 2]
