"""A study's data, image by image, folded into sums per group: every score is a function of these."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnzoo.errors import AttnzooError
from attnzoo.statistics.evidence import Evidence

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over the images of each group, for the classes that the ground truth has."""

    names: tuple[str, ...]  # G, in the order of their first image
    classes: tuple[str, ...]  # K
    top: Floats  # (A, S, G, K)
    bottom: Floats  # (A, S, G, K)
    there: Bools  # (G, K)
    higher_is_better: bool


def by_group(evidence: Evidence) -> Sums:
    """Add up the images of each group; classes that no image has are left out.

    Raises:
        AttnzooError: If no image has any class, or if an arm has no score of a class at all.
    """
    kept = present(evidence.there)
    if not kept.any():
        raise AttnzooError(
            f"no test image's ground truth has {' or '.join(f'`{name}`' for name in evidence.classes)}",
            "there is nothing to score; choose classes that the test images have",
        )
    names = tuple(dict.fromkeys(evidence.groups))
    member = np.array([[group == name for group in evidence.groups] for name in names], np.float64)  # (G, N)
    sums = Sums(
        names,
        tuple(name for name, is_kept in zip(evidence.classes, kept, strict=True) if is_kept),
        member @ evidence.top[..., kept],
        member @ evidence.bottom[..., kept],
        member @ evidence.there[:, kept] > 0,
        evidence.higher_is_better,
    )
    _check_defined(evidence, sums)
    return sums


def present(there: Bools) -> Bools:
    """Which classes the ground truth has: (N or G, K) → (K,)."""
    return np.asarray(there.any(axis=0))


def macro(top: Floats, bottom: Floats, there: Bools, higher_is_better: bool) -> Floats:
    """Mean over the classes that are there: sums (…, A, S, K) and truth (…, K) → scores (…, A, S).

    0 over 0 is 0, as for the precision of what was never predicted. Where less is better 0 would flatter: there a class
    which some arm or seed has no value of is left out for all of them. NaN where no class is left.
    """
    ratios = np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)
    counted = there if higher_is_better else there & (bottom > 0).all(axis=(-3, -2))
    number = counted.sum(axis=-1)[..., None, None]
    total = (ratios * counted[..., None, None, :]).sum(axis=-1)
    mean: Floats = np.divide(total, number, out=np.full_like(total, np.nan), where=number > 0)
    return mean


def scores(sums: Sums) -> Floats:
    """Every arm's score at every seed, (A, S)."""
    return macro(sums.top.sum(axis=2), sums.bottom.sum(axis=2), present(sums.there), sums.higher_is_better)


def scores_per_group(sums: Sums) -> Floats:
    """The score of each group alone, (G, A, S); NaN for a group without any class."""
    top, bottom = (np.moveaxis(values, 2, 0) for values in (sums.top, sums.bottom))
    return macro(top, bottom, sums.there, sums.higher_is_better)


def drawn_scores(sums: Sums, draws: int, random: np.random.Generator) -> Floats:
    """Scores when groups are drawn with replacement, the same for all arms and seeds: (draws, A, S).

    Draws without any class, which have no score, are left out.
    """
    arms, seeds, groups, classes = sums.top.shape
    weights = random.multinomial(groups, np.full(groups, 1 / groups), size=draws).astype(np.float64)  # (draws, G)
    top, bottom = (
        (weights @ np.moveaxis(values, 2, 0).reshape(groups, -1)).reshape(draws, arms, seeds, classes)
        for values in (sums.top, sums.bottom)
    )
    drawn = macro(top, bottom, weights @ sums.there > 0, sums.higher_is_better)
    return drawn[np.isfinite(drawn).all(axis=(1, 2))]


def _check_defined(evidence: Evidence, sums: Sums) -> None:
    if sums.higher_is_better:
        return
    missing = np.argwhere(sums.bottom.sum(axis=2) == 0)
    if len(missing):
        arm, seed, class_ = (int(index) for index in missing[0])
        raise AttnzooError(
            f"`{evidence.arms[arm]}` has no {evidence.metric} of `{sums.classes[class_]}` in any test image at seed "
            f"{evidence.seeds[seed]}",
            "a mean over nothing cannot be compared; leave the class out, or compare Dice",
        )
