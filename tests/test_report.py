"""Results → tables. No torch: a result is a record of numbers."""

import csv
import io
from typing import Any

import pytest

from attnzoo import report
from attnzoo.report import Table
from attnzoo.results import Result


def result(arm: str, seed: int, dice: float | None, *, averaged: int = 2, absent: tuple[str, ...] = ()) -> Result:
    """A finished run of two classes, all of whose scores are multiples of its Dice."""
    scores = {
        name: None if dice is None else dice / share for name, share in zip(report_names(), (1, 2, 4, 5), strict=True)
    }
    headline = {**scores, "averaged": averaged, "of": 2}
    per_class = {name: {**scores, "dice": None if name in absent else dice} for name in ("background", "EDH", "SDH")}
    test: dict[str, Any] = {
        "absent": "exclude",
        "images": 7,
        "resolution": "image",
        "global_macro": headline,
        "global_macro_with_background": headline,
        "batch_average": scores,
        "per_class": per_class,
        "false_positive_pixels_on_absent": dict.fromkeys(absent, 0),
    }
    return Result(
        arm, seed, ("background", "EDH", "SDH"), 1234567, {}, 3, "macro_dice", 0.5, test, test, duration_s=1.5
    )


def report_names() -> tuple[str, ...]:
    return ("dice", "iou", "precision", "recall")


COSTS = {
    arm: {
        "macs": macs,
        "fps": 133.12,
        "device": "cuda",
        "machine": {"gpu": "NVIDIA RTX A4000"},
        "method": {"inputs": [[1, 3, 256, 256]]},
    }
    for arm, macs in (("none", 37.61e9), ("ema", 950_000))
}


def test_one_seed_has_no_spread() -> None:
    table = report.ablation([result("none", 0, 0.5), result("ema", 0, 0.625)], COSTS)
    assert table.header == (
        "attention", "Dice", "Δ to none", "IoU", "precision", "recall", "parameters", "MACs", "FPS"
    )  # fmt: skip
    assert table.rows == (
        ("none", "0.5000", "", "0.2500", "0.1250", "0.1000", "1,234,567", "37.61 G", "133.1"),
        ("ema", "0.6250", "+0.1250", "0.3125", "0.1562", "0.1250", "1,234,567", "950 k", "133.1"),
    )
    assert table.notes == (
        "macro over 2 of 2 classes",
        "seed 0",
        "MACs and FPS (1 / median latency) of one image, 1×3×256×256, on cuda (NVIDIA RTX A4000)",
    )


def test_differences_are_paired_over_seeds() -> None:
    """The arm gains 0.1 at one seed and 0.3 at the other, while both spread by much more between the seeds."""
    runs = [result("none", 0, 0.2), result("none", 1, 0.6), result("ema", 1, 0.7), result("ema", 0, 0.5)]
    none, ema = report.ablation(runs, {}).rows
    assert none[1:3] == ("0.4000 ± 0.2828", "")
    assert ema[1:3] == ("0.6000 ± 0.1414", "+0.2000 ± 0.1414")
    assert report.ablation(runs, {}).header[1] == "Dice ± sd (n = 2)"
    assert "seeds 0, 1; Δ is paired over them" in report.ablation(runs, {}).notes


def test_losses_have_a_minus_sign() -> None:
    assert report.ablation([result("none", 0, 0.5), result("ema", 0, 0.25)], {}).rows[1][2] == "−0.2500"


def test_without_a_baseline_there_is_no_difference() -> None:
    assert "Δ to none" not in report.ablation([result("ema", 0, 0.5)], {}).header


def test_undefined_scores_and_unknown_costs_are_not_available() -> None:
    row = report.ablation([result("none", 0, None, averaged=0)], {}).rows[0]
    assert row == ("none", "n/a", "", "n/a", "n/a", "n/a", "1,234,567", "n/a", "n/a")


def test_absent_classes_are_named() -> None:
    notes = report.ablation([result("none", 0, 0.5, averaged=1, absent=("SDH",))], {}).notes
    assert notes[:2] == (
        "macro over 1 of 2 classes",
        "not in the test set's ground truth: SDH; absent classes: exclude",
    )
    runs = [result(arm, seed, 0.5, averaged=1, absent=("SDH",)) for seed in (0, 1) for arm in ("none", "ema")]
    runs[1].test["false_positive_pixels_on_absent"]["SDH"] = 1200
    assert (
        report.ablation(runs, {}).notes[2] == "pixels predicted as such, a number for each seed: none 0 0, ema 1,200 0"
    )
    alone = report.evaluation(runs[1].test, "test")
    assert alone.notes[1] == "not in the ground truth, and predicted on so many pixels: SDH 1,200"


def test_markdown_escapes_bars() -> None:
    table = Table(("attention", "Dice"), (("a|b", "0.5"),), "Scores", ("a note",))
    assert report.markdown(table) == (
        "**Scores**\n\n| attention | Dice |\n| --------- | ---: |\n| a\\|b      |  0.5 |\n\n- a note\n"
    )


def test_latex_is_booktabs_and_escaped() -> None:
    table = Table(
        ("attention", "Dice ± sd"), (("my_gate:groups=8", "50 %"), ("ema+gate@skip", "−0.1 ± 0.2")), "A & B", ("n",)
    )
    assert report.latex(table) == (
        "% needs \\usepackage{booktabs}\n"
        "\\begin{table}\n"
        "  \\centering\n"
        "  \\caption{A \\& B; n.}\n"
        "  \\begin{tabular}{lr}\n"
        "    \\toprule\n"
        "    attention & Dice $\\pm$ sd \\\\\n"
        "    \\midrule\n"
        "    my\\_gate:groups=8 & 50 \\% \\\\\n"
        "    ema+gate@skip & $-$0.1 $\\pm$ 0.2 \\\\\n"
        "    \\bottomrule\n"
        "  \\end{tabular}\n"
        "\\end{table}\n"
    )


@pytest.mark.parametrize(
    ("plain", "escaped"),
    [("\\", "\\textbackslash{}"), ("~^", "\\textasciitilde{}\\textasciicircum{}"), ("{$#}", "\\{\\$\\#\\}")],
)
def test_latex_interprets_nothing(plain: str, escaped: str) -> None:
    assert report.escape_latex(plain) == escaped


def test_text_is_aligned() -> None:
    table = Table(("name", "n"), (("a", "1,000"), ("long name", "2")), "Title", ("note",))
    assert report.text(table) == (
        "Title\n\nname           n\n────           ─\na          1,000\nlong name      2\nnote\n"
    )


def test_csv_has_a_row_per_arm_and_seed() -> None:
    runs = [result("none", 0, 0.5), result("ema:groups=8", 1, None, averaged=1, absent=("SDH",))]
    rows = list(csv.DictReader(io.StringIO(report.to_csv(report.result_rows(runs)))))
    assert [(row["arm"], row["seed"], row["dice"]) for row in rows] == [
        ("none", "0", "0.5"),
        ("ema:groups=8", "1", "n/a"),
    ]
    assert rows[0]["dice[EDH]"] == "0.5"
    assert [(row["classes_averaged"], row["classes"]) for row in rows] == [("2", "2"), ("1", "2")]
    assert rows[0]["best_epoch"] == "3"


def test_csv_quotes_and_fills_what_a_row_lacks() -> None:
    assert report.to_csv([{"a": 'x, "y"'}, {"a": "z", "b": 1}]) == 'a,b\n"x, ""y""",n/a\nz,1\n'


def test_evaluation_has_a_row_per_class() -> None:
    table = report.evaluation(result("none", 0, 0.5, absent=("SDH",)).test, "valid")
    assert [row[:2] for row in table.rows] == [
        ("background", "0.5000"),
        ("EDH", "0.5000"),
        ("SDH", "n/a"),
        ("macro, foreground", "0.5000"),
        ("macro, with background", "0.5000"),
    ]
    assert table.notes == (
        "macro over 2 of 2 classes; 7 images of valid, scored at image resolution; absent classes: exclude",
        "not in the ground truth, and predicted on so many pixels: SDH 0",
    )


def closer(run: Result) -> Result:
    """The same run, as it was looked at closely."""
    run.test["boundaries"] = {
        "hd95": 12.5, "nsd": 0.75, "averaged": 2, "of": 2, "tolerance": 2.0, "unit": "pixels", "empty": "the rule",
        "per_class": {"EDH": {"hd95": 12.5, "nsd": 0.75, "images": 3}, "SDH": {"hd95": None, "nsd": None, "images": 0}},
    }  # fmt: skip
    run.test["calibration"] = {"ece": 0.0625, "bins": []}
    return run


def test_evaluation_tells_boundaries_and_calibration_where_there_are_any() -> None:
    table = report.evaluation(closer(result("none", 0, 0.5)).test, "test")
    assert table.header == ("class", "Dice", "IoU", "precision", "recall", "HD95", "NSD")
    assert [row[5:] for row in table.rows] == [
        ("n/a", "n/a"), ("12.50", "0.7500"), ("n/a", "n/a"), ("12.50", "0.7500"), ("n/a", "n/a")
    ]  # fmt: skip
    assert table.notes[-2:] == (
        "HD95 in pixels and NSD at 2 pixels: means over images; the rule",
        "expected calibration error of all classes: 0.0625",
    )


def test_csv_has_boundaries_and_calibration_and_old_runs_have_none() -> None:
    runs = [result("none", 0, 0.5), closer(result("ema", 0, 0.5))]
    old, new = csv.DictReader(io.StringIO(report.to_csv(report.result_rows(runs))))
    columns = ("hd95", "nsd", "ece", "hd95[EDH]", "nsd[EDH]", "hd95[SDH]")
    assert [new[column] for column in columns] == ["12.5", "0.75", "0.0625", "12.5", "0.75", "n/a"]
    assert [old[column] for column in columns] == ["n/a"] * 6


@pytest.mark.parametrize(
    ("value", "cell"), [(None, "n/a"), (12, "12"), (1734, "1.734 k"), (37.61e9, "37.61 G"), (2e12, "2 T")]
)
def test_counts_have_prefixes(value: float | None, cell: str) -> None:
    assert report.si(value) == cell
