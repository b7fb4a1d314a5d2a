"""Pictures of cost and gain: what is in them, and that two of the same are the same to the byte."""

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from attnzoo import report
from attnzoo.errors import AttnzooError
from attnzoo.report import figures
from attnzoo.report.figures.labels import front, place
from attnzoo.results import Result

MANY = [f"block{number}:groups=8" for number in range(45)]


def cost(name: str, step: int) -> dict[str, Any]:
    ratio = {"p10": 1 + step / 60 - 0.01, "median": 1 + step / 60, "p90": 1 + step / 60 + 0.02}
    return {
        "name": name, "params": 1000 + 37 * step**2, "macs": 10**6 + 5000 * step**3, "fps": 10.0, "device": "cpu",
        "latency_ms": {"p10": 9.0, "median": 10.0, "p90": 12.0}, "relative": {"to": "none", "latency": ratio},
        "machine": {"processor": "x86", "threads": 2}, "method": {"inputs": [[1, 3, 16, 16]], "settled": step != 3},
    }  # fmt: skip


def scored(arm: str, seed: int, dice: float | None) -> Result:
    return cast("Result", SimpleNamespace(attention=arm, seed=seed, test={"global_macro": {"dice": dice}}))


def costs(*arms: str) -> dict[str, Any]:
    return {arm: cost(arm, step) for step, arm in enumerate(arms)}


def results(*arms: str) -> list[Result]:
    return [
        scored(arm, seed, 0.5 + (step * 7 % 11) / 100 + seed * (step % 3) / 100)
        for seed in (0, 1)
        for step, arm in enumerate(arms)
    ]


def texts(svg: bytes) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg.decode())


@pytest.mark.parametrize("kind", figures.FORMATS)
def test_the_same_picture_has_the_same_bytes(kind: str) -> None:
    arms = ("none", "ema", "gate")
    assert figures.gain(results(*arms), costs(*arms), kind) == figures.gain(results(*arms), costs(*arms), kind)
    rows = list(costs(*arms).values())
    assert figures.overhead(rows, kind) == figures.overhead(rows, kind)


def test_text_stays_text_and_is_all_there() -> None:
    arms = ("none", "ema:groups=8", "ema+gate@skip/ema@bottleneck")
    drawn = texts(figures.gain(results(*arms), costs(*arms), "svg"))
    assert set(arms) <= set(drawn)
    assert "Dice − Dice of none at the same seed" in drawn
    assert "latency, ratio to none (median of paired ratios; line: p10–p90)" in drawn
    drawn = texts(figures.overhead(list(costs(*arms).values()), "svg"))
    assert set(arms[1:]) <= set(drawn)
    assert {"parameters added", "multiply-adds added", "latency, ratio to none"} <= set(drawn)


def test_the_bar_of_colours_says_where_it_begins_and_ends() -> None:
    arms = ("none", "ema", "gate")
    added = costs(*arms)
    for arm, macs in (("ema", 1_600_000), ("gate", 2_400_000)):
        added[arm]["macs"] = added["none"]["macs"] + macs
    assert {"1.6 M", "16 M"} <= set(texts(figures.gain(results(*arms), added, "svg")))


def test_forty_five_arms_have_their_names_or_it_is_said() -> None:
    drawn = texts(figures.gain(results("none", *MANY), costs("none", *MANY), "svg"))
    named = [arm for arm in MANY if arm in drawn]
    assert len(named) >= 30
    if (lacking := len(MANY) - len(named)) and "none" in drawn:
        assert f"{lacking} without a name: see the table" in drawn


def test_gains_are_paired_by_seed() -> None:
    some = [scored("none", 0, 0.5), scored("none", 1, 0.6), scored("ema", 0, 0.7), scored("ema", 1, 0.6)]
    found = figures.points(some, costs("none", "ema"))
    assert found[0].gains == (0, 0)
    assert found[1].gains == pytest.approx((0.2, 0.0))
    assert found[1].gain == pytest.approx(0.1)
    assert (found[1].params, found[1].macs) == (37, 5000)


def test_without_a_baseline_it_is_dice_itself() -> None:
    arms = ("gate", "ema")
    assert figures.points(results(*arms), costs(*arms))[0].gains == pytest.approx((0.5, 0.5))
    assert "Dice" in texts(figures.gain(results(*arms), costs(*arms), "svg"))


def test_an_undefined_score_has_no_point() -> None:
    some = [scored("none", 0, 0.5), scored("ema", 0, None)]
    assert [one.arm for one in figures.points(some, costs("none", "ema"))] == ["none"]
    assert figures.gain([scored("none", 0, None)], costs("none"), "svg").startswith(b"<?xml")


def test_labels_cover_neither_points_nor_each_other() -> None:
    points = [(10.0 * (step % 7) + 20, 9.0 * (step // 7) + 20) for step in range(45)]
    radii, sizes, within = [2.0] * 45, [(12.0, 3.0)] * 45, (0.0, 0.0, 130.0, 130.0)
    boxes = [box for box in place(points, radii, sizes, within) if box is not None]
    assert len(boxes) > 30
    marks = [(x - 2, y - 2, x + 2, y + 2) for x, y in points]
    for index, (left, bottom, right, top) in enumerate(boxes):
        assert left >= 0
        assert top <= 130
        for other in (*boxes[:index], *marks):
            assert right <= other[0] or other[2] <= left or top <= other[1] or other[3] <= bottom
    assert place([(5, 5)], [1], [(50, 3)], (0, 0, 20, 20)) == [None]


def test_the_front_is_what_nothing_beats() -> None:
    assert front([(1.0, 0.0), (1.2, 0.3), (1.2, 0.4), (1.5, 0.2), (2.0, 0.5)]) == [0, 2, 4]


def test_other_formats_are_refused() -> None:
    with pytest.raises(AttnzooError) as caught:
        figures.check_format(Path("cost.jpg"))
    assert str(caught.value) == "`cost.jpg` cannot be drawn\nhint: end its name in `.svg`, `.pdf` or `.png`"
    assert figures.check_format(Path("A.PNG")) == "png"


def test_importing_reports_loads_no_matplotlib() -> None:
    script = (
        "import attnzoo.report, sys; print([name for name in ('torch', 'matplotlib', 'numpy') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(("key", "name"), [("params", "parameters"), ("macs", "multiply-adds")])
def test_what_is_removed_is_not_drawn_as_none(key: str, name: str) -> None:
    rows = [{**row, key: 5000 - step} for step, row in enumerate(costs("none", "ema").values())]
    with pytest.raises(AttnzooError) as caught:
        figures.overhead(rows, "svg")
    assert str(caught.value) == (
        f"`--plot` draws what is added, and `ema` has fewer {name} than `none`\nhint: name the smallest first"
    )
    rows[1][key] = 5000
    assert "(hollow: none)" in texts(figures.overhead(rows, "svg"))


def test_the_table_of_overheads() -> None:
    rows = [{**row, "classes": 12} for row in costs("none", "ema", "se", "gate").values()]
    table = report.overheads(rows, {"epa": "`epa` cannot take a map of 64×64, bound to 16×16"})
    assert table.rows[0] == ("none", "(1,000)", "(1 M)", "1.000×", "", "10.00", "10.0")
    assert table.rows[1] == ("ema", "37", "5 k", "1.017×", "1.007–1.037", "10.00", "10.0")
    assert "with 12 outputs" in table.notes
    assert "ms and FPS: none's ms, timed alone, times the ratio" in table.notes
    assert table.notes[-2:] == (
        "timings had not settled: gate",
        "left out `epa`: `epa` cannot take a map of 64×64, bound to 16×16",
    )
