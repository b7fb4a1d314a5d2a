"""Evidence written down by hand, and scores by naive loops."""

import numpy as np

from attnzoo.statistics import Evidence


def evidence(
    top: list, bottom: list, groups: str, *, arms: str = "none ema", there: list | None = None, **more: object
) -> Evidence:
    """From nested lists (A, S, N, K); groups are letters, one an image."""
    tops, bottoms = np.asarray(top, float), np.asarray(bottom, float)
    _, seeds, images, classes = tops.shape
    return Evidence(
        arms=tuple(arms.split()),
        seeds=tuple(range(seeds)),
        images=tuple(f"i{index}" for index in range(images)),
        groups=tuple(groups),
        classes=tuple(f"c{index}" for index in range(classes)),
        top=tops,
        bottom=bottoms,
        there=np.ones((images, classes), bool) if there is None else np.asarray(there, bool),
        **more,
    )


def plain(scores: object, *, arms: str | None = None, **more: object) -> Evidence:
    """Scores (A, S, N) of images that are each a group and weigh alike: an arm's score is a plain mean."""
    tops = np.asarray(scores, float)[..., None]
    count = tops.shape[2]
    names = arms or " ".join(["none", *(f"a{index}" for index in range(1, len(tops)))])
    return Evidence(
        arms=tuple(names.split()),
        seeds=tuple(range(tops.shape[1])),
        images=tuple(f"i{index}" for index in range(count)),
        groups=tuple(f"g{index}" for index in range(count)),
        classes=("lens",),
        top=tops,
        bottom=np.ones_like(tops),
        there=np.ones((count, 1), bool),
        **more,
    )


def random_evidence(random: np.random.Generator, arms: int = 2, seeds: int = 2, groups: int = 4) -> Evidence:
    """Counts as of a confusion matrix: 2·TP over 2·TP + FP + FN, with images and groups that lack classes."""
    images = 2 * groups
    there = random.random((images, 3)) < 0.6
    there[:3] |= np.eye(3, dtype=bool)
    hits = random.integers(0, 30, (arms, seeds, images, 3)) * there
    errors = random.integers(0, 20, hits.shape) + there
    letters = "".join("abcdefghijklmnop"[index // 2] for index in range(images))
    names = " ".join(["none", *(f"a{index}" for index in range(1, arms))])
    return evidence(2 * hits, 2 * hits + errors, letters, arms=names, there=there)


def naive_score(of: Evidence, arm: int, seed: int, groups: list[str]) -> float:
    """A score over some groups, each as often as it is named, by loops over images."""
    ratios = []
    for class_ in range(len(of.classes)):
        top = bottom = 0.0
        there = False
        for name in groups:
            for image, group in enumerate(of.groups):
                if group == name:
                    top += of.top[arm, seed, image, class_]
                    bottom += of.bottom[arm, seed, image, class_]
                    there = there or bool(of.there[image, class_])
        if there:
            ratios.append(top / bottom if bottom else 0.0)
    return sum(ratios) / len(ratios) if ratios else float("nan")
