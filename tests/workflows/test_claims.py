"""A paper's tables with ours beside each number: pure, on made-up results."""

from pathlib import Path
from typing import Any

import pytest

from attnzoo import report
from attnzoo.errors import AttnzooError
from attnzoo.recipe import Claims, Recipe
from attnzoo.results import Result
from attnzoo.workflows.claims import Model, caveats, claimed, comparison, consistency, counts

CLAIMS = Claims(
    "Somebody: Something", "Attention U-Net", 12, 7_791_285, hardware="NVIDIA RTX A4000", best_validation_dice=0.7396,
    best_epoch=48, test_dice_batch=0.3484, test_dice=0.142, test_iou=0.0982, latency_ms=7.51, fps=133.12,
)  # fmt: skip
OTHER = Claims("Somebody: Something", "EMA-Attention U-Net", 12, 7_794_805, best_validation_dice=0.7836, fps=91.15)


def result(seed: int, dice: float, epoch: int) -> Result:
    headline = {"dice": dice, "iou": dice / 2, "precision": None, "recall": 1.0, "averaged": 5, "of": 5}
    test: dict[str, Any] = {"global_macro": headline, "batch_average": {"dice": 0.3}}
    classes = ("background", "a", "b", "c", "d", "e")
    return Result("gate", seed, classes, 7_790_895, {}, epoch, "batch_dice", dice + 0.1, test, test)


def model(claims: Claims = CLAIMS, *, fps: float = 50.0, results: tuple[Result, ...] | None = None) -> Model:
    recipe = Recipe(name="attention-unet", ours=("data.image_size", "training.batch_size", "training.seed"))
    cost = {"latency_ms": {"median": 1000 / fps}, "fps": fps}
    return Model(recipe, claims, claims.parameters, (result(0, 0.25, 2),) if results is None else results, cost)


def row(table: report.Table, name: str) -> tuple[str, ...]:
    return next(cells[1:] for cells in table.rows if cells[0] == name)


def test_table_3_has_ours_beside_each_number() -> None:
    table = comparison([model(), model(OTHER, fps=25.0)])
    assert table.header == (
        "Metric",
        "Attention U-Net, paper",
        "Attention U-Net, ours",
        "EMA-Attention U-Net, paper",
        "EMA-Attention U-Net, ours",
    )  # fmt: skip
    assert [cells[0] for cells in table.rows] == [
        "Best validation Dice",
        "Best validation epoch",
        "Final test Dice training",
        "Final test Dice global macro",
        "Final test IoU global macro",
        "Final test Precision global macro",
        "Final test Recall global macro",
        "Parameters",
        "Parameters of the trained model",
        "Inference time (ms)",
        "FPS",
        "FPS relative to Attention U-Net",
    ]
    assert row(table, "Best validation Dice") == ("0.7396", "0.3500", "0.7836", "0.3500")
    assert row(table, "Best validation epoch") == ("48", "2", "–", "2")
    assert row(table, "Final test Dice training") == ("0.3484", "0.3000", "–", "0.3000")
    assert row(table, "Final test Dice global macro") == ("0.1420", "0.2500", "–", "0.2500")
    assert row(table, "Final test Precision global macro") == ("–", "n/a", "–", "n/a")
    assert row(table, "Parameters") == ("7,791,285", "7,791,285", "7,794,805", "7,794,805")
    assert row(table, "Parameters of the trained model") == ("–", "7,790,895", "–", "7,790,895")
    assert row(table, "Inference time (ms)") == ("7.51", "20.00", "–", "40.00")
    assert row(table, "FPS") == ("133.12", "50.00", "91.15", "25.00")
    assert row(table, "FPS relative to Attention U-Net") == ("1.000", "1.000", "0.685", "0.500")


def test_table_4_has_a_row_per_model_and_origin() -> None:
    assert consistency([model()]).rows == (
        ("Attention U-Net, paper", "48", "0.7396", "0.3484", "0.1420"),
        ("Attention U-Net, ours", "2", "0.3500", "0.3000", "0.2500"),
    )


def test_several_seeds_have_a_spread() -> None:
    table = comparison([model(results=(result(0, 0.2, 2), result(1, 0.4, 4)))])
    assert row(table, "Final test Dice global macro")[1] == "0.3000 ± 0.1414"


def test_counts_are_shown_for_untrained_models_too() -> None:
    assert counts([model(results=())]).rows == (("attention-unet", "none", "12", "7,791,285", "7,791,285"),)


def test_what_cannot_be_compared_is_said() -> None:
    small = model()
    override = {"training.epochs": 2, "data.image_size": (64, 64)}
    small = Model(small.recipe.override(override), small.claims, small.counted, small.results, small.cost)
    assert caveats([small], "`head-ct` (1/2/3 images)", "cpu at 64×64 pixels, batch 1", override) == (
        "scores: other data. Ours are `head-ct` (1/2/3 images); the paper's models have 12 outputs, the trained ones 6",
        "inference time and FPS: other hardware. Ours is cpu at 64×64 pixels, batch 1, the paper's NVIDIA RTX A4000; "
        "the ratio between the models compares better than the milliseconds",
        "training: the paper does not say, and we chose, training.batch_size = 8",
        "training: this command overrode training.epochs = 2, data.image_size = 64×64; "
        "the paper's numbers need the recipe as it is",
        "spread: the paper gives single numbers; ours are from seed 0",
    )


def test_a_folder_without_claims_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plain.toml").write_text("schema = 1\n", encoding="utf-8")
    with pytest.raises(AttnzooError) as caught:
        claimed(tmp_path)
    assert caught.value.message == f"no recipe in `{tmp_path}` has `[claims]`"
    assert caught.value.hint == "`attnzoo train` takes recipes that claim nothing"


def test_recipes_that_claim_nothing_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "plain.toml").write_text("schema = 1\n", encoding="utf-8")
    claim = '[claims]\npaper = "p"\nmodel = "m"\nclasses = 2\nparameters = 3\n'
    (tmp_path / "claiming.toml").write_text(f"schema = 1\n{claim}", encoding="utf-8")
    assert [one.name for one in claimed(tmp_path)] == ["claiming"]
