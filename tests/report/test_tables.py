"""A comparison as the page's tables."""

import math

from attnzoo.report.page import tables, verdicts
from attnzoo.report.page.numbers import chance, count, plain, signed, span

from .test_figures import comparison, difference

SEEN = comparison(ema=difference(0.1, 0.05, 0.15, "gain"), gate=difference(-0.01, -0.04, 0.02))


def test_all_arms_in_one_table() -> None:
    table = tables.arms(SEEN, {"none": 100, "ema": 1234}, {"ema": {"macs": 2 * 10**6, "fps": 12.34}})
    assert table.header[:4] == ("attention", "Dice ± sd", "95 % interval", "Δ to none")
    assert table.rows[0][:3] == ("none", "0.5000 ± 0.0141", "[0.4000, 0.6000]")
    assert table.rows[0][-3:] == ("100", "n/a", "n/a")
    assert table.rows[1][3:] == ("+0.1000", "[+0.0500, +0.1500]", "0.400", "0.0500", "1,234", "2 M", "12.3")
    assert table.rows[2][-3:] == ("n/a", "n/a", "n/a")
    assert table.notes[0] == "n = 8 groups, 40 images, 2 seeds per arm"


def test_classes_have_scores_and_differences_with_intervals() -> None:
    scores, differences = tables.parts({"a": SEEN, "b": SEEN}, "class", ("said",))
    assert scores.header == ("attention", "a", "b")
    assert scores.rows[1] == ("ema", "0.600", "0.600")
    assert scores.notes == ("said",)
    assert differences.rows == (
        ("ema", *("+0.100 [+0.050, +0.150]",) * 2),
        ("gate", *("−0.010 [−0.040, +0.020]",) * 2),
    )
    assert differences.notes[1:] == ("a: gain of ema, p (Holm) 0.400", "b: gain of ema, p (Holm) 0.400")


def test_verdicts_are_the_reference_and_then_each_arm() -> None:
    found = verdicts(SEEN)
    assert [(one.arm, one.kind) for one in found] == [("none", "reference"), ("ema", "gain"), ("gate", "none")]
    assert found[0].words == "What all others are compared with: Dice 0.5000, 95 % interval [0.4000, 0.6000]."


def test_numbers() -> None:
    assert (plain(-0.5, 2), signed(0.5, 2), signed(-0.0001, 2)) == ("−0.50", "+0.50", "0.00")
    assert (plain(math.nan), signed(math.inf), span(math.nan, 1)) == ("n/a", "n/a", "n/a")
    assert (chance(0.0004), chance(0.0316), chance(math.nan)) == ("< 0.001", "0.032", "n/a")
    assert (count(1, "class"), count(2, "class"), count(1234, "group")) == ("1 class", "2 classes", "1,234 groups")
