"""Which test images are shown: picked by rule from scores, never by eye. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

FOR_CLASSES = 6  # images on a page beside three of all, which many classes would crowd out; what is beyond is named

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


def changes(reference: npt.NDArray[np.float64], others: Iterable[npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """By how much each class's mean Dice differs most from the reference arm's; 0 where no truth has the class."""
    most = np.zeros(reference.shape[1])
    for dice in others:
        most = np.fmax(most, np.abs(_means(dice, 0) - _means(reference, 0)))
    return most


def pick(
    names: Sequence[str],
    dice: npt.NDArray[np.float64],
    classes: Sequence[str],
    changed: npt.NDArray[np.float64],
    most: int = FOR_CLASSES,
) -> Picks:
    """Best, median and worst of all images, then each class's worst and median, up to `most` images for classes.

    The class that changes most comes first. An image's score is the mean Dice over the classes in its truth; one
    without any is no candidate. Of equals the first by name is taken; the median is the lower one.

    Args:
        names: Of the images.
        dice: The reference arm's, as `image_dice` gives it.
        classes: The foreground's names.
        changed: As `changes` gives it; of equals the first class is taken.
        most: Images that no rule for all images has chosen.
    """
    overall = _means(dice, 1)
    wanted: list[tuple[Which, str | None, npt.NDArray[np.float64]]]
    wanted = [(which, None, overall) for which in ("best", "median", "worst")]
    order = np.argsort(-changed, kind="stable").tolist()
    wanted += [(which, classes[index], dice[:, index]) for index in order for which in ("worst", "median")]
    chosen: dict[str, list[Rule]] = {}
    left_out, crowded, room = [], [], most
    for which, of, scores in wanted:
        found = _find(which, scores, names)
        if found is None:
            if which == "worst":
                left_out.append(f"no test image has {of or 'a class'} in its truth")
            continue
        rule = Rule(which, of, float(scores[found]))
        if of is not None and names[found] not in chosen:
            if not room:
                crowded.append(str(rule))
                continue
            room -= 1
        chosen.setdefault(names[found], []).append(rule)
    if crowded:
        left_out.append(f"no room for the images that are {', '.join(crowded)}")
    return Picks(tuple(Pick(image, tuple(rules)) for image, rules in chosen.items()), tuple(left_out))


def _means(dice: npt.NDArray[np.float64], axis: int) -> npt.NDArray[np.float64]:
    """Over images or classes; NaN where there is nothing to average."""
    defined = (~np.isnan(dice)).sum(axis)
    return np.where(defined > 0, np.nansum(dice, axis) / np.maximum(defined, 1), np.nan)


def _find(which: Which, scores: npt.NDArray[np.float64], names: Sequence[str]) -> int | None:
    candidates = [index for index in range(len(names)) if not np.isnan(scores[index])]
    if not candidates:
        return None
    if which == "best":
        return min(candidates, key=lambda index: (-scores[index], names[index]))
    rising = sorted(candidates, key=lambda index: (scores[index], names[index]))
    return rising[0 if which == "worst" else (len(rising) - 1) // 2]
