"""Run folders → evidence: the counts are those of the scores, and whatever cannot be compared is refused by name."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from attnzoo.errors import AttnzooError
from attnzoo.results import Result
from attnzoo.statistics.numbers import COUNTED
from attnzoo.training import tables
from attnzoo.workflows import finished as reading
from attnzoo.workflows.evidence import gather, of_ablation
from attnzoo.workflows.state import note_failure

from .folders import IMAGES, ablation, begun, counts, finished, place, planned

RUNS = (("none", 0), ("ema", 0), ("none", 1), ("ema", 1))


def refusal(*runs: Path, metric: str = "dice", names: list[str] | None = None) -> tuple[str, str | None]:
    with pytest.raises(AttnzooError) as error:
        gather(runs, metric, names)
    return error.value.message, error.value.hint


def test_file_names_are_those_that_training_writes() -> None:
    assert (reading.SCORES, reading.CONFUSION, reading.SCORE_COLUMNS) == (
        tables.SCORES, tables.CONFUSION, tables.SCORE_COLUMNS
    )  # fmt: skip


def test_it_loads_no_torch() -> None:
    script = (
        "import sys, attnzoo.workflows.evidence, attnzoo.workflows.compare, attnzoo.workflows.status; "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("metric", COUNTED)
def test_the_evidence_s_ratios_are_the_results_scores(metric: str, tmp_path: Path) -> None:
    folder = ablation(tmp_path, *RUNS)
    evidence = gather([folder / place(*run) for run in RUNS], metric)
    assert (evidence.arms, evidence.seeds, evidence.classes) == (("none", "ema"), (0, 1), ("a", "b"))
    scores = (evidence.top.sum(axis=2) / evidence.bottom.sum(axis=2)).mean(axis=-1)
    for (arm, seed), score in np.ndenumerate(scores):
        result = Result.read(folder / place(evidence.arms[arm], evidence.seeds[seed]))
        assert score == pytest.approx(result.test["global_macro"][metric], abs=1e-12)


def test_images_are_matched_by_name_and_have_their_groups(tmp_path: Path) -> None:
    shuffled = tuple(reversed(IMAGES))
    one = finished(tmp_path / "one")
    other = finished(tmp_path / "other", "ema", images=shuffled, matrices=counts(0.3)[::-1])
    evidence = gather([one, other])
    assert evidence.images == tuple(sorted(IMAGES))
    assert evidence.groups == tuple(name.partition("_")[0] for name in sorted(IMAGES))
    assert np.array_equal(evidence.top[0], evidence.top[1])


def test_an_image_that_has_no_row_has_the_group_of_its_name(tmp_path: Path) -> None:
    matrices = counts(0.3)
    matrices[4, 1:] = 0
    runs = [finished(tmp_path / arm, arm, matrices=matrices) for arm in ("none", "ema")]
    assert IMAGES[4] not in reading.groups(reading.read(runs[0]))
    evidence = gather(runs)
    assert evidence.groups[evidence.images.index(IMAGES[4])] == "p1"
    assert not evidence.there[evidence.images.index(IMAGES[4])].any()


def test_other_metrics_come_from_the_table_where_every_run_has_them(tmp_path: Path) -> None:
    rows = [(image, name, "hd95", float(index)) for index, image in enumerate(IMAGES) for name in ("a", "b")]
    whole = finished(tmp_path / "none" / "seed-0", rows=rows)
    evidence = gather([whole, finished(tmp_path / "ema" / "seed-0", "ema", rows=rows)], "hd95")
    assert not evidence.higher_is_better
    assert evidence.top[0, 0, :, 0].tolist() == [float(IMAGES.index(image)) for image in evidence.images]
    finished(tmp_path / "ema" / "seed-0", "ema", rows=rows[3:])
    gathered = of_ablation(planned(tmp_path, ("none", 0), ("ema", 0)), "hd95")
    assert gathered.evidence is not None
    assert gathered.evidence.bottom.sum(axis=(2, 3)).tolist() == [[21.0], [21.0]]
    assert gathered.gaps == (
        "hd95: 3 of 24 values (image by class) are left out of every arm, since not every run has them",
    )


def test_what_is_made_up_where_the_class_is_not_counts_for_who_made_it_up(tmp_path: Path) -> None:
    """As in a run's own mean: an image that neither truth nor prediction has the class in is in none."""
    matrices = counts(0.3)
    matrices[4, 1, :] = 0
    rows = [(image, name, "hd95", 2.0) for image in IMAGES for name in ("a", "b") if (image, name) != (IMAGES[4], "a")]
    made_up = [*rows, (IMAGES[4], "a", "hd95", 50.0)]
    evidence = gather(
        [
            finished(tmp_path / "none", matrices=matrices, rows=rows),
            finished(tmp_path / "ema", "ema", matrices=matrices, rows=made_up),
        ],
        "hd95",
    )
    means = evidence.top.sum(axis=2) / evidence.bottom.sum(axis=2)
    assert means[:, 0].tolist() == [[2.0, 2.0], [(11 * 2 + 50) / 12, 2.0]]


def test_a_metric_that_knows_no_class(tmp_path: Path) -> None:
    rows = [(image, "all", "ece", 0.1) for image in IMAGES]
    evidence = gather([finished(tmp_path / arm, arm, rows=rows) for arm in ("none", "ema")], "ece")
    assert evidence.classes == ("all",)
    assert evidence.top.shape == (2, 1, 12, 1)


def test_names_replace_attention(tmp_path: Path) -> None:
    runs = [finished(tmp_path / name, "ema") for name in ("one", "two")]
    assert gather(runs, names=["short", "long"]).arms == ("short", "long")


class TestRefusals:
    """Verbatim, and by folder."""

    def test_other_test_images(self, tmp_path: Path) -> None:
        one, other = finished(tmp_path / "one"), finished(tmp_path / "other", "ema", images=(*IMAGES[1:], "q.png"))
        assert refusal(one, other) == (
            f"`{other}` was tested on 12 images and `{one}` on 12, which are not the same: `p0_s0.png` is in `{one}` "
            "alone",
            "scores are paired by image: compare runs with the same test images",
        )

    def test_other_classes(self, tmp_path: Path) -> None:
        one = finished(tmp_path / "one")
        other = finished(tmp_path / "other", "ema", classes=("background", "a", "c"))
        assert refusal(one, other) == (
            f"`{other}` has the classes `background`, `a` and `c`, and `{one}` `background`, `a` and `b`",
            "compare runs of one data set",
        )

    def test_other_data_under_the_same_names(self, tmp_path: Path) -> None:
        one, other = finished(tmp_path / "one"), finished(tmp_path / "other", "ema", data="e" * 64)
        assert refusal(one, other) == (
            f"`{one}` and `{other}` have test images of the same names, but other data: digest dddddddddddd… there, "
            "eeeeeeeeeeee… here",
            "compare runs on the same data: run one of them again",
        )

    def test_other_groups_whichever_comes_first(self, tmp_path: Path) -> None:
        one = finished(tmp_path / "one")
        other = finished(tmp_path / "other", "ema", changes={"data.group_pattern": None})
        hint = "compare runs with the same groups: run one of them again with the other's pattern"
        for first, second, patterns in (
            (one, other, "`^(p\\d+)` there and `none` here"),
            (other, one, "`none` there and `^(p\\d+)` here"),
        ):
            assert refusal(first, second) == (
                f"`{first}` and `{second}` group images differently, by `data.group_pattern` {patterns}: `p0_s0.png` "
                "and `p0_s1.png` are one group in one of them alone",
                hint,
            )

    @pytest.mark.parametrize(
        ("field", "value", "usual"), [("resolution", "network", "image"), ("absent", "zero", "exclude")]
    )
    def test_other_scoring(self, field: str, value: str, usual: str, tmp_path: Path) -> None:
        one = finished(tmp_path / "one")
        other = finished(tmp_path / "other", "ema", changes={f"scores.{field}": value})
        assert refusal(one, other) == (
            f"`{one}` was scored by `scores.{field} = {usual}` and `{other}` by `{value}`",
            "compare runs with equal `[scores]`: run one of them again by the other's",
        )

    def test_other_pixels(self, tmp_path: Path) -> None:
        one = finished(tmp_path / "one")
        other = finished(tmp_path / "other", "ema", matrices=counts(0.3, size=99))
        assert refusal(one, other) == (
            f"the ground truth of `p0_s0.png` has other pixels in `{other}` than in `{one}`",
            "compare runs of one image size, or with `scores.resolution = image`",
        )

    def test_no_finished_run(self, tmp_path: Path) -> None:
        begun(tmp_path / "run", epochs=3)
        assert refusal(tmp_path / "run") == (
            f"`{tmp_path / 'run'}` holds no finished run",
            "finish it: run the same command again",
        )
        assert refusal() == ("there is no finished run to compare", "name folders of finished runs")

    def test_the_same_arm_and_seed_twice(self, tmp_path: Path) -> None:
        one, two = finished(tmp_path / "one", "ema"), finished(tmp_path / "two", "ema")
        assert refusal(finished(tmp_path / "none"), one, two) == (
            f"`{one}` and `{two}` are both `ema` at seed 0",
            "leave one of them out, or tell them apart: `attnzoo compare --name A --name B`",
        )

    def test_a_class_nobody_has(self, tmp_path: Path) -> None:
        matrices = counts(0.3)
        matrices[:, 1:] = 0
        runs = [finished(tmp_path / arm, arm, matrices=matrices) for arm in ("none", "ema")]
        assert refusal(*runs) == (
            f"no test image of `{runs[0]}` has a pixel of any foreground class, so there is no dice",
            "see what `attnzoo data check` says of `test`",
        )

    def test_one_arm(self, tmp_path: Path) -> None:
        one = finished(tmp_path / "one", "ema")
        hint = "name runs of another attention as well"
        assert refusal(one) == (f"`{one}` is a single run, of `ema`: there is nothing to compare it with", hint)
        assert refusal(one, finished(tmp_path / "two", "ema", 1)) == (
            "all 2 runs are of one arm, `ema`: there is nothing to compare it with",
            hint,
        )

    def test_an_arm_that_lacks_a_seed(self, tmp_path: Path) -> None:
        folder = ablation(tmp_path, *RUNS)
        assert refusal(*(folder / place(*run) for run in RUNS[:3])) == (
            "`ema` lacks seed 1, which other arms have",
            "compare arms at the same seeds: run what is missing, or leave those seeds out",
        )

    def test_an_unknown_metric(self, tmp_path: Path) -> None:
        one = finished(tmp_path / "one")
        assert refusal(one, metric="dise") == ("there is no metric `dise` of test images", "did you mean `dice`?")

    def test_a_metric_that_was_not_scored(self, tmp_path: Path) -> None:
        runs = [finished(tmp_path / arm, arm) for arm in ("none", "ema")]
        assert refusal(*runs, metric="nsd") == (
            f"`{runs[0] / 'scores.csv'}` has no metric `nsd`",
            "run it again with this attnzoo, into another folder",
        )

    @pytest.mark.parametrize("value", ["nan", "inf", "n/a"])
    def test_a_score_that_is_no_number(self, value: str, tmp_path: Path) -> None:
        runs = [finished(tmp_path / arm, arm, rows=[(IMAGES[0], "a", "hd95", value)]) for arm in ("none", "ema")]
        assert refusal(*runs, metric="hd95") == (
            f"`{runs[0] / 'scores.csv'}` says that the hd95 of class `a` in `p0_s0.png` is `{value}`",
            "leave the run out: no mean can be taken over that",
        )


@pytest.mark.parametrize("file", ["confusion.npz", "scores.csv"])
def test_a_half_written_folder_is_refused(file: str, tmp_path: Path) -> None:
    (finished(tmp_path / "run") / file).unlink()
    assert refusal(tmp_path / "run") == (
        f"`{tmp_path / 'run'}` is half-written: `{file}` is missing",
        "delete it, and run the same command again",
    )


@pytest.mark.parametrize("bytes_", [b"", b"PK\x03\x04 and no more"])
def test_torn_counts_are_refused(bytes_: bytes, tmp_path: Path) -> None:
    (finished(tmp_path / "run") / "confusion.npz").write_bytes(bytes_)
    assert refusal(tmp_path / "run")[0] == f"`{tmp_path / 'run'}` is half-written: `confusion.npz` cannot be read"


def test_a_torn_table_is_refused(tmp_path: Path) -> None:
    runs = [finished(tmp_path / arm, arm) for arm in ("none", "ema")]
    text = (runs[0] / "scores.csv").read_text(encoding="utf-8")
    (runs[0] / "scores.csv").write_text(text[: text.rindex(",")].rstrip("\n"), encoding="utf-8")
    assert refusal(*runs)[0] == f"`{runs[0]}` is half-written: `scores.csv` ends within line 97"


class TestAblation:
    """Gaps are said; nothing is averaged over what happened to be there."""

    def test_a_whole_one_has_no_gaps(self, tmp_path: Path) -> None:
        gathered = of_ablation(ablation(tmp_path, *RUNS))
        assert gathered.gaps == ()
        assert gathered.evidence is not None
        assert gathered.evidence.top.shape == (2, 2, 12, 2)
        assert [str(run) for run in gathered.runs] == ["none, seed 0", "ema, seed 0", "none, seed 1", "ema, seed 1"]

    def test_of_some_arms_and_seeds(self, tmp_path: Path) -> None:
        folder = ablation(tmp_path, *RUNS, ("gate", 0))
        assert len(of_ablation(folder, seeds=[0]).runs) == 3
        assert len(of_ablation(folder, arms=["none", "ema"]).runs) == 4

    def test_an_arm_without_a_seed_is_left_out_where_the_others_have_more(self, tmp_path: Path) -> None:
        runs = [(arm, seed) for seed in (0, 1, 2) for arm in ("none", "ema", "gate", "se")]
        folder = ablation(tmp_path, *runs, lacking=[("gate", 1)])
        gathered = of_ablation(folder)
        assert gathered.evidence is not None
        assert (gathered.evidence.arms, gathered.evidence.seeds) == (("none", "ema", "se"), (0, 1, 2))
        assert gathered.gaps == ("`gate`, seed 1 has not begun", "`gate` is not compared: it lacks seed 1")

    def test_a_running_ablation_is_compared_at_the_seeds_that_all_have(self, tmp_path: Path) -> None:
        runs = [(arm, seed) for seed in (0, 1, 2) for arm in ("none", "ema", "gate")]
        folder = ablation(tmp_path, *runs, lacking=[("ema", 2), ("gate", 2)])
        begun(folder / place("ema", 2), "ema", 2, epochs=4)
        gathered = of_ablation(folder)
        assert gathered.evidence is not None
        assert (gathered.evidence.arms, gathered.evidence.seeds) == (("none", "ema", "gate"), (0, 1))
        assert gathered.gaps == (
            "`ema`, seed 2 was interrupted after epoch 4 of 10",
            "`gate`, seed 2 has not begun",
            "compared at seeds 0, 1 alone: not every arm has seed 2",
        )

    def test_a_seed_that_nobody_has_begun_is_one_line(self, tmp_path: Path) -> None:
        arms, seeds = ("none", "ema"), (0, 1, 2)
        lacking = [(arm, seed) for arm in arms for seed in (1, 2)]
        gathered = of_ablation(ablation(tmp_path, *[(arm, seed) for arm in arms for seed in seeds], lacking=lacking))
        assert gathered.gaps == ("every arm, at seeds 1, 2, has not begun",)

    def test_the_reference_is_kept(self, tmp_path: Path) -> None:
        runs = [(arm, seed) for seed in (0, 1) for arm in ("none", "ema", "gate")]
        gathered = of_ablation(ablation(tmp_path, *runs, lacking=[("none", 1)]))
        assert gathered.evidence is not None
        assert (gathered.evidence.arms, gathered.evidence.seeds) == (("none", "ema", "gate"), (0,))

    def test_a_failed_arm_says_why(self, tmp_path: Path) -> None:
        folder = ablation(tmp_path, *RUNS, lacking=[("ema", 0), ("ema", 1)])
        begun(folder / place("ema", 0), "ema", 0, epochs=1)
        note_failure(folder / place("ema", 0), "`train_loss` is `nan` in epoch 2")
        gathered = of_ablation(folder)
        assert gathered.evidence is None
        assert gathered.gaps == (
            "`ema`, seed 0 failed: `train_loss` is `nan` in epoch 2",
            "`ema`, seed 1 has not begun",
            "nothing can be compared: fewer than two arms have a finished seed in common",
        )
        assert len(gathered.runs) == 2

    def test_a_half_written_folder_and_nan_are_gaps(self, tmp_path: Path) -> None:
        folder = ablation(tmp_path, *RUNS)
        (folder / place("ema", 1) / "confusion.npz").write_bytes(b"")
        gathered = of_ablation(folder)
        assert gathered.gaps[0] == (
            f"`ema`, seed 1 cannot be used: `{folder / place('ema', 1)}` is half-written: "
            "`confusion.npz` cannot be read"
        )
        assert gathered.gaps[1] == "compared at seed 0 alone: not every arm has seed 1"
        for arm, value in (("none", 1.0), ("ema", "nan")):
            for seed in (0, 1):
                finished(folder / place(arm, seed), arm, seed, rows=[(IMAGES[0], "a", "hd95", value)])
        assert of_ablation(folder, "hd95").gaps[0].startswith("`ema`, seed 0 cannot be used: ")

    def test_torn_json_is_a_gap(self, tmp_path: Path) -> None:
        folder = ablation(tmp_path, *RUNS)
        (folder / place("ema", 1) / "result.json").write_text("{", encoding="utf-8")
        assert of_ablation(folder).gaps[0].startswith("`ema`, seed 1 cannot be used: `")

    def test_no_ablation(self, tmp_path: Path) -> None:
        with pytest.raises(AttnzooError) as error:
            of_ablation(tmp_path)
        assert error.value.message == f"`{tmp_path}` holds no ablation: there is no `ablation.json`"
        assert error.value.hint == "name a folder that `attnzoo ablate` wrote"

    def test_runs_of_other_data_are_refused(self, tmp_path: Path) -> None:
        folder = ablation(tmp_path, *RUNS)
        result = json.loads((folder / place("ema", 1) / "result.json").read_text(encoding="utf-8"))
        result["identity"]["data"] = "e" * 64
        (folder / place("ema", 1) / "result.json").write_text(json.dumps(result), encoding="utf-8")
        with pytest.raises(AttnzooError, match="but other data"):
            of_ablation(folder)


def test_images_that_no_pattern_groups_are_said_to_be_alone(tmp_path: Path) -> None:
    images = tuple(f"{letter}.png" for letter in "abcdef")
    for pattern, alone in ((None, True), ("^([a-f])", False)):
        changes = {"data.group_pattern": pattern}
        runs = [finished(tmp_path / f"{arm} {alone}", arm, images=images, changes=changes) for arm in ("none", "ema")]
        assert gather(runs).ungrouped is alone
