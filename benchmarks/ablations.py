"""Ablations drawn from a model whose truth is known, and how `attnzoo.statistics.compare` does on many of them.

Each image has each class, of a size of its own, and `bottom` is that size for every arm: a score is a mean of shares,
weighted by size, and its expectation is known: BASE, plus what was planted. By chance differ groups (hard patients, for
all arms alike), groups × arm (a block that suits a patient), seeds × arm (a lucky training), groups × arm × seed, and
images within all of these.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from attnzoo.statistics import Comparison, Evidence, compare

BASE = 0.6


@dataclass(frozen=True)
class World:
    """Standard deviations of what differs by chance, in units of the score."""

    groups: int = 20
    seeds: int = 5
    arms: int = 4  # `none` and others
    per_group: int = 3
    classes: int = 3
    hard: float = 0.08  # groups
    suits: float = 0.02  # groups × arm
    luck: float = 0.01  # seeds × arm
    both: float = 0.02  # groups × arm × seed
    noise: float = 0.03  # images × arm × seed
    sizes: float = 0.0  # SD of the logarithm of sizes: groups', and half as much images'


@dataclass(frozen=True)
class Measured:
    """Shares over `ablations` drawn ones."""

    ablations: int
    covered: float  # true differences within their intervals
    scores_covered: float  # true scores within theirs
    false_calls: float  # ablations in which an arm without a difference is called a gain or a loss
    found: float  # ablations in which the planted gain is called one
    smallest: float  # the announced smallest difference: the median over ablations


def draw(world: World, random: np.random.Generator, planted: float = 0.0) -> Evidence:
    """One ablation; `planted` is added to the expected score of the arm `a1`."""
    arms, seeds, groups, classes = world.arms, world.seeds, world.groups, world.classes
    size = np.exp(world.sizes * random.normal(size=(groups, 1, classes)))
    size = size * np.exp(world.sizes / 2 * random.normal(size=(groups, world.per_group, classes)))
    share = (
        BASE
        + world.hard * random.normal(size=(1, 1, groups, 1, 1))
        + world.suits * random.normal(size=(arms, 1, groups, 1, 1))
        + world.luck * random.normal(size=(arms, seeds, 1, 1, 1))
        + world.both * random.normal(size=(arms, seeds, groups, 1, 1))
        + world.noise * random.normal(size=(arms, seeds, groups, world.per_group, classes))
    )
    share[1] += planted
    images = groups * world.per_group
    bottom = np.broadcast_to(size, share.shape)
    return Evidence(
        arms=("none", *(f"a{index}" for index in range(1, arms))),
        seeds=tuple(range(seeds)),
        images=tuple(f"i{index}" for index in range(images)),
        groups=tuple(f"g{index // world.per_group}" for index in range(images)),
        classes=tuple(f"c{index}" for index in range(classes)),
        top=np.maximum(share * bottom, 0).reshape(arms, seeds, images, classes),
        bottom=bottom.reshape(arms, seeds, images, classes),
        there=np.ones((images, classes), bool),
        largest=math.inf,  # noise takes some above 1
    )


def measure(
    world: World, ablations: int, *, planted: float = 0.0, seed: int = 0, draws: int = 300, permutations: int = 500
) -> Measured:
    """Draw many ablations, compare each, and count; `draws` and `permutations` are fewer than `compare`'s defaults."""
    random = np.random.default_rng(seed)
    counted = np.zeros(4)
    smallest = []
    for _ in range(ablations):
        found = compare(draw(world, random, planted), draws=draws, permutations=permutations)
        counted += _count(found, planted)
        smallest.append(found.arms[1].difference.smallest)
    shares = (float(share) for share in counted / ablations)
    return Measured(ablations, *shares, smallest=float(np.median(smallest)))


def with_power(
    world: World, ablations: int, planted_ablations: int, **options: int
) -> tuple[Measured, Measured | None]:
    """Without a difference; then with the one that was announced there as the smallest to be found, if there is one."""
    null = measure(world, ablations, **options)
    if not np.isfinite(null.smallest):
        return null, None
    options = {**options, "seed": options.get("seed", 0) + 1}
    return null, measure(world, planted_ablations, planted=null.smallest, **options)


def _count(found: Comparison, planted: float) -> np.ndarray:
    truth = {"a1": planted}
    others = [(arm.name, arm.difference) for arm in found.arms if arm.difference is not None]
    intervals = [(truth.get(name, 0.0), one.interval) for name, one in others]
    scores = [(BASE + truth.get(arm.name, 0.0), arm.score) for arm in found.arms]
    null = [one for name, one in others if not truth.get(name, 0.0)]
    return np.array(
        [
            *(np.mean([its.low <= true <= its.high for true, its in all_]) for all_ in (intervals, scores)),
            any(one.verdict in ("gain", "loss") for one in null),
            found.arms[1].difference.verdict == "gain",
        ],
        float,
    )


def worlds() -> dict[str, World]:
    """What is measured: seeds and groups few and many, and either ruling what is uncertain."""
    kinds = {
        "seeds rule": World(luck=0.03, suits=0.005, both=0.01),
        "groups rule": World(luck=0.001, suits=0.04, both=0.01),
    }
    of = {
        f"{kind}, {seeds} seeds, {groups} groups": replace(world, seeds=seeds, groups=groups)
        for kind, world in kinds.items()
        for seeds in (2, 3, 5, 10)
        for groups in (8, 20, 60)
    }
    for groups in (8, 20, 60):
        of[f"mixed, 5 seeds, {groups} groups"] = World(groups=groups)
        of[f"skewed sizes, 5 seeds, {groups} groups"] = World(groups=groups, sizes=1.0)
    of["1 seed, without luck, 20 groups"] = World(seeds=1, luck=0.0)
    return of
