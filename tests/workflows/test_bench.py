"""`attnzoo bench`, from Python and from the command line: structure and counts, never milliseconds."""

import json
from pathlib import Path

import pytest

from attnzoo import recipe as recipes
from attnzoo import registry, spec
from attnzoo.cli import main
from attnzoo.errors import AttnzooError
from attnzoo.measure import parameters
from attnzoo.models import build_model
from attnzoo.recipe import Recipe
from attnzoo.workflows import bench as workflow

QUICK = ("--image-size", "16", "--device", "cpu", "--iterations", "2", "--no-training")
FIELDS = {
    "name", "params", "macs", "flops", "uncounted", "latency_ms", "fps", "peak_memory_bytes", "device", "method"
}  # fmt: skip


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["bench", *arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_json_is_an_array_of_objects(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "smoke", "--attention", "se,gate", "--json", *QUICK)
    rows = json.loads(out)
    assert code == 0
    assert [row["name"] for row in rows] == ["none", "se", "gate"]
    for row in rows:
        assert row.keys() >= FIELDS
        assert row["latency_ms"].keys() == {"p10", "median", "p90"}
        assert row["relative"]["to"] == "none"
        assert row["relative"]["params"] == row["params"] / rows[0]["params"]
        assert row["training"] is None
    assert rows[2]["params"] > rows[1]["params"] > rows[0]["params"]


def test_the_table_says_what_was_not_counted_and_in_relation_to_what(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(
        capsys, "smoke", "--attention", "gate", "--image-size", "16", "--device", "cpu", "--iterations", "2"
    )
    assert code == 0
    assert "×: relative to none; latencies as the median of paired ratios, timed in turns" in out
    assert "uncounted in gate: add 2" in out
    assert "training step ms" in out
    assert f"{parameters(build_model(recipes.load('smoke'), 12)):,} (1.000×)" in out


def test_a_recipe_is_counted_as_its_claims_have_it(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "ema-attention-unet", *QUICK)
    assert code == 0
    for name, count in (
        ("attention-unet", "7,791,285"), ("ema-attention-unet", "7,794,805"), ("ema-unet", "7,704,588")
    ):  # fmt: skip
        assert f"{name}: {count} parameters claimed, {count} counted" in out


def test_a_wrong_claim_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "boast.toml"
    path.write_text(recipes.load("ema-attention-unet/attention-unet").to_toml().replace("7791285", "7791286"))
    code, out, err = run(capsys, str(path), *QUICK)
    assert (code, out) == (2, "")
    assert err.endswith(
        "error: `attention-unet` claims 7,791,286 parameters, and its build has 7,791,285\n"
        "hint: the count follows from `model` and from the classes in `claims`: one of them is wrong\n"
    )


def test_blocks_on_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--blocks", "ema:groups=8,gate,grid_gate", "--channels", "32", "--json", *QUICK)
    rows = json.loads(out)
    assert code == 0
    assert [row["name"] for row in rows] == ["ema:groups=8", "gate", "grid_gate"]
    assert [row["method"]["inputs"] for row in rows] == [
        [[1, 32, 16, 16]],
        [[1, 32, 16, 16], [1, 32, 16, 16]],
        [[1, 32, 16, 16], [1, 64, 8, 8]],
    ]
    assert rows[0]["params"] == 10 * 4**2 + 4 * 4
    assert {row["relative"] for row in rows} == {None}


def test_all_blocks_can_be_named_at_once() -> None:
    lines: list[str] = []
    targets = workflow.every_target(64, (1, 1), lines.append)
    left_out = {line.split("`")[1] for line in lines}
    assert {"timm_ge", "timm_bottleneck", "timm_halo", "timm_bat"} <= left_out
    assert [target.name for target in targets] == [name for name in registry.available() if name not in left_out]
    assert {"ema", "gate", "frozen", "matched", "identity", "timm_se"} <= {target.name for target in targets}
    assert all(min(shape) >= 1 for target in targets for shape in target.shapes)
    assert "left out: `timm_halo` cannot cut a map of 1×1 into blocks of block_size=8" in lines


def test_wrappers_get_the_inputs_that_they_hear() -> None:
    asked = ("frozen:block=[gate]", "frozen:block=[grid_gate]", "matched:block=[gate]", "frozen:block=[se]")
    targets = workflow.block_targets([spec.parse_block(words) for words in asked], 16, (8, 6))
    skip, coarse = (16, 8, 6), (32, 4, 3)
    assert [target.shapes for target in targets] == [(skip, skip), (skip, coarse), (skip,), (skip,)]


def test_what_learns_nothing_is_measured_too(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--image-size", "8", "--device", "cpu", "--iterations", "2", "--json")
    code, out, _ = run(capsys, "--blocks", "frozen:block=[gate],identity", "--channels", "16", *words)
    rows = json.loads(out)
    assert (code, [row["name"] for row in rows]) == (0, ["frozen:block=[gate]", "identity"])
    assert all(row["training"]["step_ms"]["median"] > 0 for row in rows)


def test_a_block_bound_to_a_map_size_is_refused_at_another(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--blocks", "timm_bottleneck", "--image-size", "8") == (
        2,
        "",
        "error: `timm_bottleneck` cannot take a map of 8×8, built for feat_size=(16,16)\nhint: say `feat_size=(8,8)`\n",
    )


def test_outputs_are_said_and_can_be_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "smoke", *QUICK)
    assert code == 0
    assert "with 12 outputs" in out.splitlines()
    code, out, _ = run(capsys, "smoke", "--classes", "3", "--json", *QUICK)
    (row,) = json.loads(out)
    assert (code, row["classes"], row["params"]) == (0, 3, parameters(build_model(recipes.load("smoke"), 3)))
    # nothing is claimed of another network, so nothing is checked
    code, out, _ = run(capsys, "ema-attention-unet/attention-unet", "smoke", "--classes", "3", *QUICK)
    assert code == 0
    assert "with 3 outputs" in out.splitlines()
    assert "claimed" not in out
    assert run(capsys, "--blocks", "se", "--classes", "3") == (
        2,
        "",
        "error: `--classes 3` counts a network's outputs, and blocks on their own have none\nhint: leave it out\n",
    )


def test_plain_tables_of_blocks_relate_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--blocks", "se,gate", *QUICK)
    assert code == 0
    assert "×" not in out
    assert "outputs" not in out


def test_none_comes_first_and_once() -> None:
    arms = spec.parse_arms("gate,none,se")
    targets = workflow.arm_targets(recipes.Recipe(), arms, (16, 24))
    assert [target.name for target in targets] == ["none", "gate", "se"]
    assert {target.shapes for target in targets} == {((3, 16, 24),)}


def test_an_ablation_s_arms_are_measured_with_its_classes(tiny: Recipe) -> None:
    arms = {name: tiny.override({"model.attention": name, "data.image_size": 16}) for name in ("none", "gate")}
    table = workflow.measure_arms(arms, 3, device="mps", seconds=0.01)
    assert json.loads(json.dumps(table, allow_nan=False)) == table
    assert table["reference"] == "none"
    assert table["arms"].keys() == {"none", "gate"}
    assert table["arms"]["none"]["params"] == parameters(build_model(arms["none"], 3))
    assert table["arms"]["gate"]["fps"] > 0
    assert table["arms"]["gate"]["device"] == "cpu"  # a Mac's GPU has no clock here


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "there is nothing to measure\nhint: name a recipe, `--attention ema,gate` or `--blocks all`"),
        (
            ("smoke", "--blocks", "se"),
            "`--blocks` measures blocks on their own\nhint: leave recipes and `--attention` out",
        ),
        (
            ("smoke", "ema-attention-unet", "--attention", "se"),
            "`--attention` furnishes one recipe's host, not 2\nhint: name one recipe",
        ),
    ],
)
def test_questions_without_an_answer_are_refused(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err == f"error: {message}\n"


def test_nothing_and_two_of_a_name_are_refused() -> None:
    with pytest.raises(AttnzooError, match="there is nothing to measure"):
        workflow.bench([])
    with pytest.raises(AttnzooError) as caught:
        workflow.recipe_targets([recipes.Recipe(), recipes.Recipe()])
    assert str(caught.value) == "two recipes are called `default`\nhint: give one of them another `name`"
