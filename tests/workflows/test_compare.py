"""Finished runs from anywhere → verdicts, and arms that are told apart."""

import json
from pathlib import Path

import pytest

from attnzoo.cli import main
from attnzoo.errors import AttnzooError
from attnzoo.workflows.compare import compare, record

from .folders import IMAGES, ablation, begun, counts, finished, place

SEEDS = (0, 1, 2)
MANY = tuple(f"p{patient}_s{number}.png" for patient in range(12) for number in range(2))


@pytest.fixture(scope="module")
def better(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`none`, and an `ema` that misses fewer pixels in every patient, at three seeds."""
    folder = tmp_path_factory.mktemp("better")
    for seed in SEEDS:
        for arm, missed in (("none", 0.3), ("ema", 0.2 + seed / 1000)):
            finished(folder / place(arm, seed), arm, seed, images=MANY, matrices=counts(missed, MANY))
    return folder


def test_a_planted_gain_is_found(better: Path) -> None:
    found = compare([better]).comparison
    assert [arm.name for arm in found.arms] == ["ema", "none"]
    assert found.reference == "none"
    difference = found.arms[0].difference
    assert difference is not None
    assert difference.verdict == "gain"
    assert difference.interval.estimate == pytest.approx(0.066, abs=0.01)


def test_against_another_arm_it_is_a_loss(better: Path) -> None:
    found = compare([better], against="ema").comparison
    assert [arm.difference.verdict for arm in found.arms if arm.difference is not None] == ["loss"]


def test_the_first_arm_is_the_reference_where_there_is_no_none(better: Path) -> None:
    found = compare([better / "ema", better / "none"], names=["a", "b"]).comparison
    assert found.reference == "a"


def test_a_margin_makes_arms_equivalent(better: Path) -> None:
    same = [better / place("none", seed) for seed in SEEDS]
    twin = [better / place("ema", seed) for seed in SEEDS]
    found = compare([*same, *twin], margin=0.5).comparison
    assert found.margin == 0.5
    assert "less than the margin" in next(arm.difference.words for arm in found.arms if arm.difference is not None)


def test_distances_of_a_pixel_at_most_are_no_shares(tmp_path: Path) -> None:
    for arm, far in (("none", (0, 1, 1, 1)), ("ema", (0, 1, 1, 1))):
        own = [(image, "a", "hd95", far[index // 3]) for index, image in enumerate(IMAGES)]
        finished(tmp_path / arm, arm, rows=own)
    assert all(arm.score.high > 1 for arm in compare([tmp_path], metric="hd95").comparison.arms)


def test_the_same_run_given_twice_counts_once(better: Path) -> None:
    assert len(compare([better, better / "none", better / place("none", 0)]).runs) == 6


def test_what_an_ablation_lacks_is_a_gap(tmp_path: Path) -> None:
    runs = [(arm, seed) for seed in SEEDS for arm in ("none", "ema")]
    folder = ablation(tmp_path, *runs, lacking=[("ema", 2)])
    begun(folder / place("ema", 2), "ema", 2, epochs=4)
    compared = compare([folder])
    assert compared.comparison.seeds == 2
    assert compared.gaps == (
        f"`{folder}`: `ema`, seed 2 was interrupted after epoch 4 of 10",
        "compared at seeds 0, 1 alone: not every arm has seed 2",
    )


def test_arms_of_one_attention_are_named_by_what_differs(tmp_path: Path) -> None:
    ablation(tmp_path / "one", ("none", 0), ("ema", 0))
    finished(tmp_path / "other", "ema", changes={"training.epochs": 20})
    compared = compare([tmp_path / "one", tmp_path / "other"])
    assert [arm.name for arm in compared.comparison.arms] == [
        "none",
        "ema (training.epochs=10)",
        "ema (training.epochs=20)",
    ]
    assert compared.gaps == (
        "arms differ in more than attention, `training.epochs`: `10` in none, ema (training.epochs=10); "
        "`20` in ema (training.epochs=20)",
    )


def test_the_same_groups_by_another_pattern_are_the_same_groups(tmp_path: Path) -> None:
    one = finished(tmp_path / "one")
    other = finished(tmp_path / "other", "ema", missed=0.2, changes={"data.group_pattern": r"^p(\d+)"})
    there, here = compare([one, other], against="none"), compare([other, one], against="none")
    assert there.gaps == here.gaps == ()
    assert there.comparison.groups == here.comparison.groups == 4
    intervals = [
        [arm.score for arm in sorted(found.comparison.arms, key=lambda arm: arm.name)] for found in (there, here)
    ]
    assert intervals[0] == intervals[1]


def test_names_are_those_given_in_order(tmp_path: Path) -> None:
    ablation(tmp_path / "one", ("none", 0), ("ema", 0))
    finished(tmp_path / "other", "ema")
    compared = compare([tmp_path / "one", tmp_path / "other"], names=["old", "new"], against="old: none")
    assert [arm.name for arm in compared.comparison.arms] == ["old: none", "old: ema", "new"]


def test_its_record_is_json_without_nan(tmp_path: Path) -> None:
    ablation(tmp_path, ("none", 0), ("ema", 0))
    told = json.loads(json.dumps(record(compare([tmp_path])), allow_nan=False))
    assert told["arms"][1]["difference"]["verdict"] == "no difference shown"
    assert told["runs"][1] == {"arm": "ema", "seed": 0, "folder": str(tmp_path / place("ema", 0))}


def refusal(*places: Path, **options: object) -> tuple[str, str | None]:
    with pytest.raises(AttnzooError) as error:
        compare(places, **options)  # type: ignore[arg-type]
    return error.value.message, error.value.hint


def test_refusals(better: Path, tmp_path: Path) -> None:
    assert refusal(tmp_path) == (
        f"there is no finished run in `{tmp_path}`",
        "name a folder in which `attnzoo train` or `ablate` has ended",
    )
    assert refusal(better, names=["a", "b"]) == (
        "2 names do not fit 1 runs",
        "give `--name` once for each, in their order",
    )
    assert refusal(better, metric="hd59") == ("there is no metric `hd59` of test images", "did you mean `hd95`?")
    assert refusal(better, against="emma")[1] == "did you mean `ema`?"
    assert refusal(better / "ema")[0] == "all 3 runs are of one arm, `ema`: there is nothing to compare it with"
    finished(tmp_path / "none", "none", 0)
    finished(tmp_path / "ema", "ema", 1)
    assert refusal(tmp_path) == (
        "nothing can be compared: fewer than two arms have a finished seed in common",
        "run arms at the same seeds: `--seeds 0,1,2`",
    )
    finished(tmp_path / "ema", "ema", 0, images=(*IMAGES[1:], "q.png"))
    assert "which are not the same" in refusal(tmp_path)[0]


def test_the_command_prints_a_table_and_sentences(better: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(better)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Dice on the test set, against none"
    assert lines[2].split("  ")[0] == "attention"
    assert [line.split()[0] for line in lines[4:6]] == ["ema", "none"]
    assert (lines[4].endswith("  gain"), lines[5].endswith("  reference")) == (True, True)
    assert lines[6] == "12 groups, 24 images, 3 seeds of every arm; mean over 2 classes"
    blank = lines.index("", 5)
    assert lines[blank + 1].startswith("`ema` gains on `none`: +0.")
    assert lines[blank + 1].endswith(
        "but beware: no control `matched:block=[ema]` ran: capacity alone may bring as much."
    )


def test_the_command_says_gaps_in_its_table_and_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ablation(tmp_path, ("none", 0), ("ema", 0), ("none", 1), ("ema", 1), lacking=[("ema", 1)])
    gap = "compared at seed 0 alone: not every arm has seed 1"
    assert main(["compare", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert gap in out.splitlines()
    assert "Beware: 1 seed: intervals and p say nothing of retraining" in out
    assert main(["compare", str(tmp_path), "--json"]) == 0
    assert gap in json.loads(capsys.readouterr().out)["gaps"]


def test_the_command_refuses_what_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(tmp_path / "x")]) == 2
    assert capsys.readouterr().err == f"error: there is no run `{tmp_path / 'x'}`\nhint: check the path\n"
