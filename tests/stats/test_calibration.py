"""Many drawn ablations: intervals cover, A/A is left alone, and the announced smallest difference is found.

The whole table, with 1000 ablations a world, is benchmarks/results/calibration.json.
"""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from attnzoo.statistics import compare

ROOT = Path(__file__).parents[2]
FEW = {"draws": 200, "permutations": 300}


def off(share: float, trials: int) -> float:
    """Twice the standard error of a share: what chance may do."""
    return 2 * math.sqrt(share * (1 - share) / trials)


def test_an_ablation_without_a_difference_is_left_alone_and_intervals_cover() -> None:
    from benchmarks.ablations import World, measure

    found = measure(World(), 200, **FEW)
    assert found.false_calls <= 0.05 + off(0.05, 200)
    # 200 ablations, whose three differences share their reference
    assert found.covered >= 0.93 - off(0.93, 200) / 2
    assert found.scores_covered >= 0.93 - off(0.93, 200) / 2


@pytest.mark.parametrize(
    "change",
    [
        {"seeds": 2, "luck": 0.03},
        {"seeds": 3, "luck": 0.03, "both": 0.01},
        {"groups": 8, "suits": 0.04},
        {"groups": 8, "sizes": 1.0},
        {"seeds": 10, "both": 0.06},
        {"seeds": 1, "luck": 0.0},
    ],
)
def test_whatever_rules_the_chance_intervals_cover(change: dict) -> None:
    from benchmarks.ablations import World, measure

    found = measure(replace(World(), **change), 100, **FEW)
    assert found.covered >= 0.95 - off(0.95, 100)
    assert found.scores_covered >= 0.95 - off(0.95, 100)
    assert found.false_calls <= 0.05 + off(0.05, 100)


def test_the_announced_smallest_difference_is_found_as_often_as_announced() -> None:
    from benchmarks.ablations import World, measure, with_power

    null, planted = with_power(World(), 60, 150, draws=200, permutations=300)
    assert planted is not None
    assert planted.found >= 0.8 - off(0.8, 150)
    assert planted.false_calls <= 0.05 + off(0.05, 150)
    # a half of it is mostly missed, so that the announced size is not merely large enough
    assert measure(World(), 60, planted=null.smallest / 2, **FEW).found < 0.5


def test_luck_in_training_is_not_taken_for_a_gain() -> None:
    """Seeds that differ much and many alike groups: a test over groups alone calls most of these."""
    from benchmarks.ablations import World, draw

    world, random = World(seeds=3, groups=30, luck=0.03, suits=0.002, both=0.002), np.random.default_rng(0)
    drawn = [compare(draw(world, random), draws=200, permutations=300).arms[1].difference for _ in range(60)]
    assert sum(one.p_groups < 0.05 for one in drawn) > 30
    assert sum(one.p < 0.05 for one in drawn) <= 8


def test_the_committed_table_keeps_what_is_promised() -> None:
    from benchmarks.ablations import worlds

    rows = json.loads((ROOT / "benchmarks" / "results" / "calibration.json").read_text())["worlds"]
    assert [row["world"] for row in rows] == list(worlds())
    for row in rows:
        null, planted = row["null"], row["planted"]
        assert null["ablations"] >= 1000
        assert null["covered"] >= 0.93, row["world"]
        assert null["scores_covered"] >= 0.93, row["world"]
        assert null["false_calls"] <= 0.05 + off(0.05, null["ablations"]), row["world"]
        assert planted["found"] >= 0.8 - off(0.8, planted["ablations"]), row["world"]


@pytest.mark.slow
def test_every_world_is_calibrated() -> None:
    from benchmarks.ablations import measure, worlds

    for name, world in worlds().items():
        found = measure(world, 400, **FEW)
        assert found.covered >= 0.93, name
        assert found.scores_covered >= 0.93 - off(0.93, 400), name
        assert found.false_calls <= 0.05 + off(0.05, 400), name
