"""The report from outside: what a reader of the page finds, and what lies beside it."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from attnzoo.errors import AttnzooError
from attnzoo.workflows.report import report

from .conftest import text_of

ARMS = ("none", "ema:groups=2", "gate")


def test_every_arm_is_named_and_judged(seen: Any) -> None:
    for arm in ARMS:
        assert arm in seen.text
    assert "What all others are compared with" in seen.text
    assert "interval" in seen.text
    labels = ("gain", "loss", "no difference shown", "equivalent")
    assert any(label in seen.text for label in labels)


def test_verdicts_come_before_tables_and_pictures(seen: Any) -> None:
    tags = [tag if tag != "section" else f"section {attributes.get('id')}" for tag, attributes in seen.elements]
    assert tags.index("section verdicts") < tags.index("table")
    assert tags.index("section verdicts") < tags.index("img")
    order = ["verdicts", "differences", "cost", "arms", "classes", "sizes", "others", "curves", "annotation", "cases"]
    order += ["confusion", "run", "method"]
    found = [attributes["id"] for attributes in seen.all("section") if attributes["id"] != "gaps"]
    assert found == order
    assert [link["href"] for link in seen.all("a")] == [f"#{key}" for key in order[1:]]


def test_every_picture_has_words_for_those_who_cannot_see_it(seen: Any) -> None:
    pictures = seen.all("img")
    assert len(pictures) > 30
    for picture in pictures:
        assert len(picture["alt"] or "") > 15
    assert len({picture["alt"] for picture in pictures}) == len(pictures)


def test_nothing_is_loaded_from_anywhere(page: Path, seen: Any) -> None:
    for _, attributes in seen.elements:
        for name in ("src", "href", "srcset", "data"):
            assert (attributes.get(name) or "data:").startswith(("data:", "#"))
    html = page.read_text(encoding="utf-8")
    assert "<script" not in html
    assert "url(" not in html
    assert "@import" not in html
    assert "http" not in html.partition("</style>")[0]


def test_the_page_is_small(page: Path) -> None:
    assert page.stat().st_size < 3_000_000


def test_every_figure_is_there_in_three_formats(page: Path) -> None:
    names = {path.name for path in (page.parent / "figures").iterdir()}
    figures = ("forest", "gain", "curves", "confusion", "annotation", "cases", "reliability")
    assert names == {f"{figure}.{kind}" for figure in figures for kind in ("svg", "pdf", "png")}
    assert all(path.stat().st_size > 1000 for path in (page.parent / "figures").iterdir())


def test_the_recipe_the_data_and_the_machine_are_told(ablation: Path, seen: Any) -> None:
    record = json.loads((ablation / "ablation.json").read_text(encoding="utf-8"))
    for words in (record["data"]["digest"], "learning_rate = 0.003", record["versions"]["torch"], "train", "cpu"):
        assert words in seen.text


def test_the_table_for_a_paper_says_n_spread_interval_test_and_correction(page: Path) -> None:
    latex = (page.parent / "table.tex").read_text(encoding="utf-8")
    for words in ("groups", "images", "2 seeds", "sd over the seeds", "95 \\% interval", "permutation", "Holm"):
        assert words in latex
    for arm in ARMS:
        assert f"    {arm} & " in latex


@pytest.mark.slow
def test_the_same_report_has_the_same_bytes(page: Path, copy: Path) -> None:
    """Without weights and data, too: what was kept of the cases is enough."""
    for weights in copy.rglob("best.safetensors"):
        weights.unlink()
    again = report(copy, device="cpu")
    for path in sorted(page.parent.rglob("*")):
        if path.is_file():
            assert (again.parent / path.relative_to(page.parent)).read_bytes() == path.read_bytes(), path.name


def test_cases_are_those_of_the_rule(ablation: Path, page: Path) -> None:
    """The worst and the best image, found here from the run's own table of scores."""
    with (ablation / "none" / "seed-0" / "scores.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "dice"]
    with np.load(ablation / "none" / "seed-0" / "confusion.npz") as arrays:
        there = dict(zip(arrays["test_names"].tolist(), arrays["test_matrices"].sum(2) > 0, strict=True))
        classes = arrays["classes"].tolist()
    dice: dict[str, list[float]] = {}
    for row in rows:
        if there[row["image"]][classes.index(row["class"])]:
            dice.setdefault(row["image"], []).append(float(row["value"]))
    means = {image: sum(values) / len(values) for image, values in dice.items()}
    kept = json.loads((page.parent / "cases" / "cases.json").read_text(encoding="utf-8"))["images"]
    worst = min(means, key=lambda image: (means[image], image))
    best = min(means, key=lambda image: (-means[image], image))
    assert {worst, best} <= kept.keys()
    text = text_of(page)
    assert f"`{worst}`, 64×64 pixels; worst of all ({means[worst]:.3f})" in text
    assert f"`{best}`, 64×64 pixels; best of all ({means[best]:.3f})" in text


def test_kept_masks_are_the_scored_ones(ablation: Path, page: Path) -> None:
    """Index PNGs whose counts are those of the run's `confusion.npz`."""
    cases = page.parent / "cases"
    for image, entry in json.loads((cases / "cases.json").read_text(encoding="utf-8"))["images"].items():
        folder = cases / entry["folder"]
        truth = np.asarray(Image.open(folder / "truth.png"))
        for arm in ARMS if entry["arms"] else ():
            mask = np.asarray(Image.open(folder / entry["arms"][arm]["mask"]))
            name = Path(entry["arms"][arm]["mask"]).stem
            with np.load(ablation / name / "seed-0" / "confusion.npz") as arrays:
                counts = arrays["test_matrices"][arrays["test_names"].tolist().index(image)]
            assert np.array_equal(np.bincount(truth.ravel() * 6 + mask.ravel(), minlength=36).reshape(6, 6), counts)


def test_attention_is_shown_for_the_best_median_and_worst(page: Path) -> None:
    entries = json.loads((page.parent / "cases" / "cases.json").read_text(encoding="utf-8"))["images"].values()
    told = [entry["arms"]["gate"]["maps"] for entry in entries if entry["arms"]]
    assert 1 <= sum(maps is not None for maps in told) <= 3
    (first, *_) = [maps for maps in told if maps]
    assert [(one["site"], one["block"], one["what"]) for one in first] == [
        ("skip1", "gate", "factor, one for all channels")
    ]


def test_another_reference_and_a_margin(copy: Path, undrawn: None) -> None:
    page = report(copy, against="gate", margin=0.9, device="cpu")
    text = text_of(page)
    assert "compared with gate" in text
    assert "`none`" in text
    assert "±0.9" in text


def test_an_unknown_arm_is_refused(ablation: Path) -> None:
    with pytest.raises(AttnzooError) as caught:
        report(ablation, against="gat")
    assert caught.value.message == f"`{ablation}` has no arm `gat`"
    assert caught.value.hint == "did you mean `gate`?"


@pytest.mark.slow
def test_the_command_as_a_process(ablation: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(ablation, tmp_path / "out", ignore=shutil.ignore_patterns("report")))
    words = [sys.executable, "-m", "attnzoo", "report", str(folder), "--device", "cpu"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.stdout == f"{folder / 'report' / 'report.html'}\n"
    assert "cases: gate, seed 0" in done.stderr
    assert (folder / "report" / "report.html").exists()
