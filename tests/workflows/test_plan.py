"""Recipe × arm × seed → runs."""

import pytest

from attnzoo import spec
from attnzoo.errors import AttnzooError
from attnzoo.recipe import Recipe
from attnzoo.workflows.plan import default_folder, default_run_folder, plan, with_baseline


def test_runs_go_seed_by_seed() -> None:
    runs = plan(Recipe(), spec.parse_arms("none,ema:groups=8"), (0, 3))
    assert [(str(run), run.folder) for run in runs] == [
        ("none, seed 0", "none/seed-0"),
        ("ema:groups=8, seed 0", "ema%3Agroups=8/seed-0"),
        ("none, seed 3", "none/seed-3"),
        ("ema:groups=8, seed 3", "ema%3Agroups=8/seed-3"),
    ]


def test_a_run_is_the_recipe_but_for_attention_and_seed() -> None:
    shared = Recipe(name="mine").override({"training.epochs": 7, "data.image_size": 96})
    (run,) = plan(shared, spec.parse_arms("gate"), (5,))
    assert run.recipe == shared.override({"model.attention": "gate", "training.seed": 5})


def test_the_baseline_comes_first_and_once() -> None:
    assert [str(arm) for arm in with_baseline(spec.parse_arms("ema,gate"))] == ["none", "ema", "gate"]
    assert [str(arm) for arm in with_baseline(spec.parse_arms("ema,none"))] == ["none", "ema"]


@pytest.mark.parametrize(
    ("arms", "seeds", "message"),
    [
        ([spec.parse("ema"), spec.parse("ema@skip")], (0,), "the arm `ema` was given twice"),
        ([spec.parse("ema")], (0, 1, 0), "the seed `0` was given twice"),
        ([], (0,), "an ablation needs at least one arm"),
        ([spec.parse("ema")], (), "an ablation needs at least one seed"),
    ],
)
def test_impossible_plans_are_refused(arms: list[spec.Attention], seeds: tuple[int, ...], message: str) -> None:
    with pytest.raises(AttnzooError) as caught:
        plan(Recipe(), arms, seeds)
    assert caught.value.message == message
    assert caught.value.hint


def test_the_same_recipe_and_data_find_their_folder_again() -> None:
    mine = Recipe(name="mine")
    folder = default_folder(mine, "digest")
    assert folder.as_posix().startswith("runs/mine-")
    assert default_folder(mine.override({"model.attention": "ema", "training.seed": 9}), "digest") == folder
    assert default_folder(mine.override({"training.epochs": 9}), "digest") != folder
    assert default_folder(mine, "other digest") != folder


def test_a_single_run_lies_where_an_ablation_would_have_put_it() -> None:
    mine = Recipe(name="mine").override({"model.attention": "ema:groups=8", "training.seed": 4})
    assert default_run_folder(mine, "digest") == default_folder(mine, "digest") / "ema%3Agroups=8" / "seed-4"
