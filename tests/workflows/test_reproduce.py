"""The paper's counts, and a reproduction from outside."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from attnzoo.cli import main
from attnzoo.data import open_dataset
from attnzoo.data.dataset import Dataset
from attnzoo.errors import AttnzooError
from attnzoo.recipe import Claims, Recipe
from attnzoo.workflows.attempt import Outcome, Setting, attempt
from attnzoo.workflows.claims import claimed
from attnzoo.workflows.line import Line
from attnzoo.workflows.plan import Run
from attnzoo.workflows.reproduce import Reproduction, count, reproduce


def claiming(tiny: Recipe, name: str, attention: str, parameters: int, dice: float | None = 0.5) -> Recipe:
    claims = Claims("Somebody: Something", f"Model {name}", 12, parameters, best_validation_dice=dice, fps=10.0)
    return replace(
        tiny.override({"model.attention": attention}), name=name, claims=claims, ours=("training.batch_size",)
    )


@pytest.fixture(scope="module")
def models(tiny: Recipe) -> tuple[Recipe, ...]:
    """Two models with scores, and one that is only counted."""
    return (
        claiming(tiny, "first", "gate", 1797),
        claiming(tiny, "second", "ema:groups=2", 1812),
        claiming(tiny, "text", "ema:groups=2", 1812, dice=None),
    )


@pytest.fixture(scope="module")
def done(
    models: tuple[Recipe, ...],
    drawn: Path,
    tmp_path_factory: pytest.TempPathFactory,
    undrawing: Callable[[pytest.MonkeyPatch], None],
) -> Reproduction:
    folder, changes = tmp_path_factory.mktemp("reproduction"), {"training.learning_rate": 1e-3}
    data = open_dataset(drawn, models[0].data)
    with pytest.MonkeyPatch.context() as patch:
        undrawing(patch)
        return reproduce(count(models), data, folder, changes=changes, setting=Setting())


def test_the_papers_counts_are_exact() -> None:
    """Three builds with the paper's twelve outputs."""
    said: list[str] = []
    models = count(claimed("ema-attention-unet"), said.append)
    assert {model.recipe.name: model.counted for model in models} == {
        "attention-unet": 7_791_285,
        "ema-attention-unet": 7_794_805,
        "ema-unet": 7_704_588,
    }
    assert said[0] == "attention-unet: 7,791,285 parameters with 12 outputs, as claimed"


def test_a_count_that_is_off_by_one_is_an_error(tiny: Recipe) -> None:
    with pytest.raises(AttnzooError) as caught:
        count([claiming(tiny, "right", "gate", 1797), claiming(tiny, "wrong", "gate", 1798)])
    assert caught.value.message == "`wrong` has 1,797 parameters, where 1,798 are claimed"
    assert caught.value.hint == "the recipe's model, or its claim, is not the paper's"


def test_a_recipe_that_claims_nothing_cannot_be_counted(tiny: Recipe) -> None:
    with pytest.raises(AttnzooError, match="`tiny` claims nothing"):
        count([tiny])


def test_only_models_with_claimed_scores_are_trained(done: Reproduction) -> None:
    assert [bool(model.results) for model in done.models] == [True, True, False]
    found = {path.parent.relative_to(done.folder).as_posix() for path in done.folder.rglob("result.json")}
    assert found == {"first/seed-0", "second/seed-0"}


def test_both_parameter_numbers_are_shown(done: Reproduction) -> None:
    rows = {cells[0]: cells[1:] for cells in done.tables[1].rows}
    assert rows["Parameters"] == ("1,797", "1,797", "1,812", "1,812")
    assert rows["Parameters of the trained model"] == ("–", "1,767", "–", "1,782")


def test_tables_and_caveats_are_written(done: Reproduction) -> None:
    text = (done.folder / "reproduction.md").read_text(encoding="utf-8")
    for part in ("# Somebody: Something", "Table 3. ", "Table 4. ", "What cannot be compared, and why:", *done.caveats):
        assert part in text
    assert done.caveats[3].startswith("training: this command overrode training.learning_rate = 0.001;")
    record = json.loads((done.folder / "reproduction.json").read_text(encoding="utf-8"))
    assert [model["counted"] for model in record["models"]] == [1797, 1812, 1812]
    assert record["changes"] == {"training.learning_rate": 0.001}


def test_it_ends_in_a_page_with_the_papers_tables(done: Reproduction) -> None:
    assert done.page == done.folder / "report" / "report.html"
    html = done.page.read_text(encoding="utf-8")
    assert "<h1>Somebody: Something</h1>" in html
    assert html.index('id="verdicts"') < html.index('id="paper"') < html.index('id="differences"')
    for table in done.tables:
        assert table.title in html
        for cell in (cell for row in table.rows for cell in row[1:]):
            assert f">{cell}</td>" in html
    for caveat in done.caveats:
        assert caveat.rpartition(";")[2].replace("`", "")[-20:] in html.replace("<code>", "").replace("</code>", "")


def test_a_page_that_cannot_be_drawn_loses_nothing(
    done: Reproduction,
    models: tuple[Recipe, ...],
    drawn: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    undrawn: None,
) -> None:
    folder, said = tmp_path / "out", list[str]()
    shutil.copytree(done.folder, folder, ignore=shutil.ignore_patterns("report", "reproduction.*"))
    monkeypatch.setattr("attnzoo.report.page.html", lambda page: 1 / 0)
    changes, setting = {"training.learning_rate": 1e-3}, Setting(say=said.append)
    again = reproduce(count(models), open_dataset(drawn, models[0].data), folder, changes=changes, setting=setting)
    assert again.page is None
    assert again.models[0].results == done.models[0].results
    assert (folder / "reproduction.json").exists()
    told = f"warning: no page was drawn: ZeroDivisionError: division by zero; try again: `attnzoo report {folder}`"
    assert said[-1] == told


def test_counted_models_alone_need_no_training(models: tuple[Recipe, ...], drawn: Path, tmp_path: Path) -> None:
    only = reproduce(count(models[2:]), open_dataset(drawn, models[0].data), tmp_path)
    assert [table.title for table in only.tables] == ["Parameters"]
    assert only.caveats == ()


def test_several_runs_at_a_time(
    done: Reproduction,
    models: tuple[Recipe, ...],
    drawn: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    undrawn: None,
) -> None:
    """From the command: its runs are those of one after the other."""
    recipes, at_once = tmp_path / "recipes", list[int]()
    recipes.mkdir()
    for model in models:
        (recipes / f"{model.name}.toml").write_text(model.to_toml(), encoding="utf-8")

    def one_after_the_other(
        line: Line,
        folder: Path,
        data: Dataset,
        setting: Setting,
        begin: Callable[[Run], None],
        end: Callable[[Run, Outcome], None],
    ) -> None:
        """In this process, which saves the others' imports; `test_jobs` has the real one."""
        at_once.append(setting.jobs)
        while (run := line.take()) is not None:
            begin(run)
            outcome = attempt(run, folder, data, setting)
            assert outcome is not None
            end(run, outcome)

    monkeypatch.setattr("attnzoo.workflows.jobs.in_processes", one_after_the_other)
    words = ("--data", drawn, "--set", "training.learning_rate=1e-3", "--jobs", 2, "--out", tmp_path / "out")
    assert main(["reproduce", str(recipes), *map(str, words)]) == 0
    assert at_once == [2]
    assert "Table 3. " in capsys.readouterr().out
    for name in ("first", "second"):
        place = Path(name) / "seed-0" / "scores.csv"
        assert (tmp_path / "out" / place).read_bytes() == (done.folder / place).read_bytes()
