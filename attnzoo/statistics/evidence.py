"""What runs say of the same test images, as sums that a score is a ratio of."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from attnzoo.errors import AttnzooError, did_you_mean, listing


@dataclass(frozen=True, eq=False)
class Evidence:
    """What runs say of the same test images, as ratios: a class's score is Σ top / Σ bottom over images.

    The score of an arm at a seed is the mean of these ratios over the classes that the ground truth has; an arm's score
    is the mean over its seeds. Dice: top 2·TP, bottom 2·TP + FP + FN. A distance: its value over 1 where it is defined,
    0 over 0 elsewhere.

    Args:
        arms: A names.
        seeds: S numbers; every arm has every seed.
        images: N names of test images, each once.
        groups: The group (patient, photo) of each of the N images.
        classes: K names of foreground classes.
        top: Numerators, (A, S, N, K).
        bottom: Denominators, (A, S, N, K).
        there: Whether an image's ground truth has the class, (N, K).
        metric: What is measured: `dice`, `iou`, `precision`, `recall`, `hd95`, `nsd`, `ece`, …
        higher_is_better: Whether more of it is better.
        largest: What a score can be at most: 1 where it is a share, infinite where it is a distance.
        ungrouped: Whether each image is a group because nobody said which belong together.

    Raises:
        AttnzooError: If shapes do not fit, a name occurs twice, or a number is NaN, infinite or negative.
    """

    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    images: tuple[str, ...]
    groups: tuple[str, ...]
    classes: tuple[str, ...]
    top: NDArray[np.float64]
    bottom: NDArray[np.float64]
    there: NDArray[np.bool_]
    metric: str = "dice"
    higher_is_better: bool = True
    largest: float = 1.0
    ungrouped: bool = False

    def __post_init__(self) -> None:
        for name, kind in (("top", np.float64), ("bottom", np.float64), ("there", np.bool_)):
            object.__setattr__(self, name, np.asarray(getattr(self, name), kind))
        _check_names(self)
        _check_shapes(self)
        _check_numbers(self)

    def where(self, mask: NDArray[np.bool_]) -> "Evidence":
        """A stratum: only what an (N, K) mask says of images × classes; images without any of it are left out."""
        if np.shape(mask) != self.there.shape:
            raise AttnzooError(f"a stratum of shape `{np.shape(mask)}` cannot mask {_extent(self)}", _SHAPES)
        kept = np.asarray(mask, np.bool_)
        rows = np.asarray(kept.any(axis=1))
        if not (self.there & kept).any():
            raise AttnzooError("no test image's ground truth has anything in this stratum", "leave the stratum out")
        return replace(
            self,
            images=tuple(image for image, row in zip(self.images, rows, strict=True) if row),
            groups=tuple(group for group, row in zip(self.groups, rows, strict=True) if row),
            top=np.where(kept, self.top, 0)[:, :, rows],
            bottom=np.where(kept, self.bottom, 0)[:, :, rows],
            there=(self.there & kept)[rows],
        )

    def only(self, classes: Sequence[str]) -> "Evidence":
        """The same for some classes, in the order given."""
        for name in classes:
            if name not in self.classes:
                raise AttnzooError(
                    f"`{name}` is no class of this evidence, which has {listing(self.classes, last='and')}",
                    did_you_mean(name, self.classes),
                )
        columns = [self.classes.index(name) for name in classes]
        return replace(
            self,
            classes=tuple(classes),
            top=self.top[..., columns],
            bottom=self.bottom[..., columns],
            there=self.there[:, columns],
        )


_SHAPES = "`top` and `bottom` are (arms, seeds, images, classes), `there` is (images, classes)"


def _extent(evidence: Evidence) -> str:
    return f"{len(evidence.images)} images × {len(evidence.classes)} classes"


def _check_names(evidence: Evidence) -> None:
    for what in ("arms", "seeds", "images", "classes"):
        names = getattr(evidence, what)
        if not names:
            raise AttnzooError(f"the evidence has no {what}", "statistics need finished runs with test scores")
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            singular = what.removesuffix("es") if what == "classes" else what.removesuffix("s")
            raise AttnzooError(f"the {singular} `{twice[0]}` is there twice", "each is to be counted once")
    if len(evidence.groups) != len(evidence.images):
        raise AttnzooError(
            f"{len(evidence.groups)} groups do not fit {len(evidence.images)} images",
            "`groups` names the group of each image",
        )


def _check_shapes(evidence: Evidence) -> None:
    images, classes = len(evidence.images), len(evidence.classes)
    full = (len(evidence.arms), len(evidence.seeds), images, classes)
    for name, shape in (("top", full), ("bottom", full), ("there", (images, classes))):
        if (found := getattr(evidence, name).shape) != shape:
            raise AttnzooError(f"`{name}` has the shape `{found}` where the names say `{shape}`", _SHAPES)


def _check_numbers(evidence: Evidence) -> None:
    for name in ("top", "bottom"):
        numbers = getattr(evidence, name)
        bad = np.argwhere(~(np.isfinite(numbers) & (numbers >= 0)))
        if len(bad):
            arm, seed, image, class_ = (int(index) for index in bad[0])
            raise AttnzooError(
                f"`{evidence.arms[arm]}` has a {evidence.metric} of `{numbers[arm, seed, image, class_]}` for "
                f"`{evidence.classes[class_]}` in `{evidence.images[image]}` at seed {evidence.seeds[seed]}",
                "a score that is undefined is 0 over 0; anything else means a broken run: run it again",
            )
