"""An ablation from outside: what lies in its folder, and what it does the second time."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from attnzoo import spec
from attnzoo.data import Dataset, open_dataset
from attnzoo.errors import AttnzooError
from attnzoo.recipe import Recipe
from attnzoo.results import Result
from attnzoo.workflows.ablate import Ablation, ablate
from attnzoo.workflows.execute import Setting

ARMS = "none,ema:groups=2"


@pytest.fixture(scope="module")
def data(drawn: Path, tiny: Recipe) -> Dataset:
    return open_dataset(drawn, tiny.data)


@pytest.fixture(scope="module")
def finished(data: Dataset, tiny: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Ablation:
    """Two arms at one seed. Tests that write take a copy."""
    return ablate(tiny, spec.parse_arms(ARMS), (0,), data, tmp_path_factory.mktemp("ablation") / "out")


@pytest.fixture
def copy(finished: Ablation, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished.folder, tmp_path / "out"))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def trained(folder: Path) -> dict[str, int]:
    """When each run's weights were written."""
    return {path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in folder.rglob("best.safetensors")}


def test_every_run_has_its_result(finished: Ablation) -> None:
    found = {path.parent.relative_to(finished.folder).as_posix() for path in finished.folder.rglob("result.json")}
    assert found == {"none/seed-0", "ema%3Agroups=2/seed-0"}
    assert finished.results[1] == Result.read(finished.folder / "ema%3Agroups=2" / "seed-0")


def test_the_plan_is_recorded(finished: Ablation, data: Dataset) -> None:
    record = json.loads((finished.folder / "ablation.json").read_text(encoding="utf-8"))
    assert [(run["arm"], run["seed"], run["folder"]) for run in record["runs"]] == [
        ("none", 0, "none/seed-0"),
        ("ema:groups=2", 0, "ema%3Agroups=2/seed-0"),
    ]
    assert record["data"]["digest"] == data.digest
    assert record["data"]["images"] == {"train": 20, "valid": 5, "test": 5}


def test_results_have_a_row_per_run(finished: Ablation) -> None:
    table = rows(finished.folder / "results.csv")
    assert [row["arm"] for row in table] == ["none", "ema:groups=2"]
    for row, result in zip(table, finished.results, strict=True):
        assert float(row["dice"]) == result.test["global_macro"]["dice"]
        assert int(row["parameters"]) == result.parameters


def test_scores_are_those_of_the_runs_with_arm_and_seed(finished: Ablation) -> None:
    table = rows(finished.folder / "scores.csv")
    assert list(table[0]) == ["arm", "seed", "image", "group", "class", "metric", "value"]
    own = rows(finished.folder / "none" / "seed-0" / "scores.csv")
    assert [{"arm": "none", "seed": "0", **row} for row in own] == [row for row in table if row["arm"] == "none"]


def test_costs_are_of_all_arms_beside_the_first(finished: Ablation) -> None:
    cost = json.loads((finished.folder / "cost.json").read_text(encoding="utf-8"))
    assert cost["reference"] == "none"
    assert list(cost["arms"]) == ["none", "ema:groups=2"]
    assert cost["arms"]["ema:groups=2"]["params"] == finished.results[1].parameters


def test_tables_are_written(finished: Ablation) -> None:
    assert finished.table.header[:3] == ("attention", "Dice", "Δ to none")
    assert finished.table.notes[0] == "macro over 5 of 5 classes"
    assert finished.table.notes[-1] == "recipe tiny; data phantom, 20/5/5 images in train/valid/test"
    assert "| ema:groups=2 |" in (finished.folder / "table.md").read_text(encoding="utf-8")
    assert "ema:groups=2 & " in (finished.folder / "table.tex").read_text(encoding="utf-8")
    assert "ema:groups=2</text>" in (finished.folder / "cost.svg").read_text(encoding="utf-8")
    assert (finished.folder / "cost.pdf").read_bytes().startswith(b"%PDF")


def test_a_verdict_is_written_with_what_stands_beside_it(finished: Ablation) -> None:
    """One seed and one group of test images: there is nothing to be shown, and that is what it says."""
    assert finished.compared is not None
    (arm,) = (arm for arm in finished.compared.comparison.arms if arm.difference is not None)
    assert arm.difference is not None
    assert (arm.name, arm.difference.verdict) == ("ema:groups=2", "no difference shown")
    assert [caution.partition(":")[0] for caution in arm.difference.cautions][:2] == ["1 seed", "1 group"]
    written = (finished.folder / "verdicts.md").read_text(encoding="utf-8")
    assert written.startswith("- No difference between `ema:groups=2` and `none` is shown at this one seed")
    assert "- Beware: 1 group: " in written
    told = json.loads((finished.folder / "verdicts.json").read_text(encoding="utf-8"))
    assert [one["name"] for one in told["arms"]] == ["none", "ema:groups=2"]
    assert told["gaps"] == []


def test_what_cannot_be_asked_is_refused_before_training(tiny: Recipe, data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(AttnzooError) as error:
        ablate(tiny, spec.parse_arms(ARMS), (0,), data, tmp_path / "out", against="ema")
    assert error.value.message == "`ema` is no arm of this ablation"
    assert error.value.hint == "arms: `none` and `ema:groups=2`"
    with pytest.raises(AttnzooError) as error:
        ablate(tiny, spec.parse_arms(ARMS), (0,), data, tmp_path / "out", margin=0)
    assert error.value.message == "`0` is no margin, which is above 0"
    assert not (tmp_path / "out").exists()


def test_all_arms_start_from_one_host(finished: Ablation) -> None:
    """The first epoch's loss differs by the attention alone, so at one seed it is close, and not equal."""
    losses = [float(rows(path)[0]["train_loss"]) for path in sorted(finished.folder.rglob("curves.csv"))]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


def test_a_finished_ablation_is_not_run_again(finished: Ablation, copy: Path, tiny: Recipe, data: Dataset) -> None:
    before, cost, said = trained(copy), (copy / "cost.json").stat().st_mtime_ns, []
    again = ablate(tiny, spec.parse_arms(ARMS), (0,), data, copy, Setting(say=said.append))
    assert trained(copy) == before
    assert (copy / "cost.json").stat().st_mtime_ns == cost
    assert said == ["[1/2] none, seed 0: finished before", "[2/2] ema:groups=2, seed 0: finished before"]
    assert again.table == finished.table


def test_an_arm_is_added_and_it_alone_is_run(finished: Ablation, copy: Path, tiny: Recipe, data: Dataset) -> None:
    before, said = trained(copy), []
    more = ablate(tiny, spec.parse_arms("none,gate"), (0,), data, copy, Setting(say=said.append))
    assert trained(copy).items() > before.items()
    assert said == [
        "rehearsing 1/1: gate",
        "[1/2] none, seed 0: finished before",
        "[2/2] gate, seed 0",
        "timing 2 models in turns",
        "tables and verdicts hold this call's arms and seeds; "
        f"`attnzoo report {copy}` has 1 other run of this folder too",
    ]
    assert [row[0] for row in more.table.rows] == ["none", "gate"]
    recorded = json.loads((copy / "ablation.json").read_text(encoding="utf-8"))["runs"]
    assert [run["arm"] for run in recorded] == ["none", "ema:groups=2", "gate"]


def test_what_it_has_nothing_to_say_of_is_not_left_standing(copy: Path, tiny: Recipe, data: Dataset) -> None:
    """A single arm compares with nothing, and its costs are not known."""
    files = ("verdicts.json", "verdicts.md", "cost.svg", "cost.pdf")
    assert all((copy / file).is_file() for file in files)
    (copy / "cost.json").unlink()
    alone = ablate(tiny, spec.parse_arms("ema:groups=2"), (0,), data, copy, timed=False)
    assert (alone.compared, alone.costs) == (None, {})
    assert not any((copy / file).exists() for file in files)


def test_a_changed_recipe_is_refused_with_the_difference(copy: Path, tiny: Recipe, data: Dataset) -> None:
    """Even where none of the arms in the folder is asked for."""
    before = trained(copy)
    with pytest.raises(AttnzooError) as caught:
        ablate(tiny.override({"training.epochs": 2}), spec.parse_arms("gate"), (0,), data, copy)
    assert caught.value.message == f"`{copy / 'none' / 'seed-0'}` holds another run: `training.epochs`: 1 there, 2 here"
    assert trained(copy) == before


def test_changed_data_are_refused(copy: Path, drawn: Path, tiny: Recipe, tmp_path: Path) -> None:
    other = Path(shutil.copytree(drawn, tmp_path / "data"))
    next((other / "train").glob("*.png")).write_bytes(next((other / "test").glob("*.png")).read_bytes())
    leaky = tiny.override({"data.allow_leakage": True})
    with pytest.raises(AttnzooError, match=r"holds another run: .*`data`: "):
        ablate(leaky, spec.parse_arms(ARMS), (0,), open_dataset(other, leaky.data), copy)


def test_data_without_a_split_are_refused_before_anything_is_built(tiny: Recipe, data: Dataset, tmp_path: Path) -> None:
    lacking = replace(data, splits={"test": data.splits["test"]})
    with pytest.raises(AttnzooError, match="the data set lacks `train` and `valid`"):
        ablate(tiny, spec.parse_arms(ARMS), (0,), lacking, tmp_path / "out", Setting(say=pytest.fail))


def test_another_program_s_record_is_refused(tiny: Recipe, data: Dataset, tmp_path: Path) -> None:
    (tmp_path / "ablation.json").write_text("{}", encoding="utf-8")
    with pytest.raises(AttnzooError) as error:
        ablate(tiny, spec.parse_arms(ARMS), (0,), data, tmp_path)
    assert error.value.message == f"`{tmp_path / 'ablation.json'}` is not of schema 1"
    assert error.value.hint == "give another folder"


def test_an_impossible_last_arm_fails_before_training(tiny: Recipe, data: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(AttnzooError) as caught:
        ablate(tiny, spec.parse_arms("none,se:reduction=2,ema:groups=3"), (0,), data, out)
    assert caught.value.message == "`ema` cannot split 4 channels into groups=3 (skip level 1 of UNet)"
    assert not out.exists()


@pytest.mark.slow
def test_killed_and_called_again_it_has_the_same_numbers(drawn: Path, tmp_path: Path) -> None:
    """kill -9 in the middle of the second run; about a minute, for three starts of torch."""
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(
        'schema = 1\n[data]\nimage_size = 32\ngroup_pattern = "^(p\\\\d+)"\n[model]\nin_channels = 1\nwidths = [4, 8]\n'
        "[training]\nepochs = 6\nbatch_size = 2\nlearning_rate = 3e-3\n",
        encoding="utf-8",
    )
    words = [sys.executable, "-m", "attnzoo", "ablate", "--attention", "se:reduction=2", "--seeds", "0,1"]
    words += ["--recipe", str(recipe), "--data", str(drawn), "--device", "cpu", "--out"]
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    subprocess.run([*words, str(undisturbed)], check=True, capture_output=True)

    process = subprocess.Popen([*words, str(killed)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    resumable = killed / "se%3Areduction=2" / "seed-0" / "last.ckpt"
    deadline = time.monotonic() + 120
    while not resumable.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert resumable.exists()
    assert not (resumable.parent / "result.json").exists()

    subprocess.run([*words, str(killed)], check=True, capture_output=True)
    assert (killed / "scores.csv").read_bytes() == (undisturbed / "scores.csv").read_bytes()
    for ours, theirs in zip(rows(killed / "results.csv"), rows(undisturbed / "results.csv"), strict=True):
        assert {**ours, "duration_s": ""} == {**theirs, "duration_s": ""}
