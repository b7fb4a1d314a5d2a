"""The gate on a machine that is drawn: equal programs pass, a slow-down fails, and the list cannot shrink."""

import numpy as np
import pytest

from .noise import Machine, Pair

# from microseconds to a quarter of a second, as the real ones
PROGRAMS = {f"block/{place}/forward": seconds for place, seconds in enumerate(np.geomspace(2e-6, 0.25, 30))}


def asked(pair: Pair, before: list[str] | None = None):
    from benchmarks.gate.run import gate

    return gate(pair, list(pair.base) if before is None else before, lambda line: None)


def test_the_drawn_machine_is_as_noisy_as_the_real_one() -> None:
    from benchmarks.gate.verdict import compare

    apart, turns = [], []
    for seed in range(40):
        machine = Machine(seed)
        blocks = [np.median([machine.times(0.01, 2) for _ in range(400)]) for _ in range(2)]
        apart.append(blocks[1] / blocks[0])

        def window(samples: int, repeat: int, machine: Machine = machine) -> list[float]:
            return list(machine.times(0.01 * repeat, samples))

        turns.append(compare(window, window, 0.01).ratio)
    assert min(apart) < 0.85
    assert max(apart) > 1.18
    assert 0.95 < min(turns) < 0.99
    assert 1.01 < max(turns) < 1.05


def test_equal_programs_pass_fifty_times_of_fifty() -> None:
    for seed in range(50):
        assert asked(Pair(seed, PROGRAMS, PROGRAMS)).failures == (), seed


@pytest.mark.parametrize("slow", ["block/0/forward", "block/15/forward", "block/29/forward"])
def test_a_planted_slow_down_fails_fifty_times_of_fifty(slow: str) -> None:
    names = {name: PROGRAMS[name] for name in (slow, list(PROGRAMS)[7])}
    for seed in range(50):
        pair = Pair(seed, names, {**names, slow: 1.2 * names[slow]})
        report = asked(pair)
        (row,) = [row for row in report.rows if row.failure]
        assert row.name == slow
        assert row.first is not None
        assert row.second is not None
        assert pair.opened == 2
        assert report.failures == (
            f"`{slow}` is slower than at base: {row.first.ratio:.3f}× in the first pass, "
            f"{row.second.ratio:.3f}× in the second",
        )


def test_a_slow_down_that_does_not_come_again_is_no_failure() -> None:
    pair = Pair(0, {"metric/summary": 0.001}, {"metric/summary": 0.0013})
    opened = pair.__call__

    def better_the_second_time():
        if pair.opened:
            pair.head = pair.base
        return opened()

    from benchmarks.gate.run import gate

    report = gate(better_the_second_time, list(pair.base), lambda line: None)
    assert [(row.word, row.failure) for row in report.rows] == [("not confirmed", None)]


def test_what_is_faster_is_said() -> None:
    report = asked(Pair(0, {"metric/summary": 0.001}, {"metric/summary": 0.0005}))
    assert [row.word for row in report.rows] == ["faster"]
    assert report.failures == ()


def test_a_renamed_benchmark_fails() -> None:
    report = asked(Pair(0, {"block/se/forward": 0.001}, {"block/squeeze/forward": 0.001}))
    assert report.failures == ("`block/se/forward` is in base's list and not in head's: it is missing or renamed",)
    assert [row.word for row in report.rows] == ["new"]


def test_a_registered_block_without_a_benchmark_fails() -> None:
    pair = Pair(0, {"block/se/forward": 0.001}, {"block/se/forward": 0.001})
    pair.required = ["block/se/forward", "block/eca/forward"]
    assert asked(pair).failures == ("`block/eca/forward` is not in head's list, although attnzoo has it",)


def test_a_name_twice_fails() -> None:
    from benchmarks.gate.run import list_failures

    assert list_failures([], ["a", "b", "a"], []) == ["`a` is twice in head's list"]


@pytest.mark.parametrize(
    ("base_broken", "head_broken", "before", "word", "failure"),
    [
        (None, "boom", ["x"], "broken", "`x` cannot be timed at head: boom"),
        (None, "boom", [], "broken", "`x` cannot be timed at head: boom"),
        ("old", "boom", [], "broken", "`x` cannot be timed on either side: boom"),
        ("boom", "boom", ["x"], "broken", "`x` cannot be timed on either side: boom"),
        ("old", None, ["x"], "no base", "`x` cannot be timed at base: old"),
        ("old", None, [], "new", None),
    ],
)
def test_what_cannot_be_timed(
    base_broken: str | None, head_broken: str | None, before: list[str], word: str, failure: str | None
) -> None:
    pair = Pair(0, {"x": 0.001}, {"x": 0.001})
    pair.broken = ({"x": base_broken} if base_broken else {}, {"x": head_broken} if head_broken else {})
    (row,) = asked(pair, before).rows
    assert (row.word, row.failure) == (word, failure)


def test_what_breaks_between_the_passes_fails() -> None:
    pair = Pair(0, {"x": 0.001}, {"x": 0.0013})
    opened = pair.__call__

    def broken_the_second_time():
        if pair.opened:
            pair.broken = ({}, {"x": "boom"})
        return opened()

    from benchmarks.gate.run import gate

    report = gate(broken_the_second_time, ["x"], lambda line: None)
    assert report.failures == ("`x` could be timed once, and not a second time: boom",)


def test_what_breaks_while_it_is_timed_is_one_failure_among_rows() -> None:
    pair = Pair(0, {"x": 0.001, "y": 0.001}, {"x": 0.001, "y": 0.001})
    pair.tired = {"x": "boom"}
    report = asked(pair)
    assert [row.word for row in report.rows] == ["broken", "same"]
    assert report.failures == ("`x` could not be timed to the end at head: boom",)


def test_what_breaks_while_it_is_timed_again_fails() -> None:
    pair = Pair(0, {"x": 0.001}, {"x": 0.0013})
    opened = pair.__call__

    def tired_the_second_time():
        if pair.opened:
            pair.tired = {"x": "boom"}
        return opened()

    from benchmarks.gate.run import gate

    (row,) = gate(tired_the_second_time, ["x"], lambda line: None).rows
    assert row.first is not None
    assert (row.second, row.failure) == (None, "`x` could not be timed to the end at head: boom")


@pytest.mark.parametrize("when", ["built at base", "built at head", "timed"])
def test_what_takes_a_side_along_has_both_started_anew(when: str) -> None:
    pair = Pair(0, {"x": 0.001, "y": 0.001}, {"x": 0.001, "y": 0.001})
    pair.fatal = {"x"}
    pair.broken = ({"x": "gone"} if when == "built at base" else {}, {"x": "gone"} if when == "built at head" else {})
    pair.tired = {"x": "gone"} if when == "timed" else {}
    report = asked(pair)
    assert [row.word for row in report.rows] == ["no base" if when == "built at base" else "broken", "same"]
    assert len(report.failures) == 1
    assert pair.opened == 2


def test_what_takes_a_side_along_the_second_time_leaves_the_others_confirmed() -> None:
    pair = Pair(0, {"x": 0.001, "y": 0.001}, {"x": 0.0013, "y": 0.0013})
    opened = pair.__call__

    def fatal_the_second_time():
        if pair.opened:
            pair.tired, pair.fatal = {"x": "gone"}, {"x"}
        return opened()

    from benchmarks.gate.run import gate

    report = gate(fatal_the_second_time, ["x", "y"], lambda line: None)
    assert [row.word for row in report.rows] == ["broken", "slower"]
    assert pair.opened == 3


def test_the_bounds_are_the_sign_tests() -> None:
    from benchmarks.gate.verdict import ALPHA, LOOKS, bounds

    assert bounds([1.0] * 10) == (0.0, float("inf"))  # 2 / 2¹⁰ is more than a thousandth
    assert bounds([float(value) for value in range(1, 13)]) == (1.0, 12.0)
    random = np.random.default_rng(0)
    for look in LOOKS:
        # skewed noise, of median one
        drawn = (bounds(list(random.exponential(size=look) / np.log(2))) for _ in range(4000))
        missed = sum(not low <= 1 <= high for low, high in drawn)
        assert missed <= 4000 * ALPHA * 3, look


def test_a_part_of_the_list_is_no_verdict_on_the_whole() -> None:
    from benchmarks.gate.run import gate
    from benchmarks.gate.table import conclusion

    pair = Pair(0, {"a": 0.001, "b": 0.001}, {"a": 0.001, "b": 0.001})
    said: list[str] = []
    report = gate(pair, ["a", "b"], said.append, lambda name: name == "a")
    assert said == ["1 of 1: a"]
    assert not report.complete
    assert conclusion(report) == "None of these 1 benchmarks is slower; a part of the list is no verdict on the whole."
    whole = asked(pair)
    assert conclusion(whole) == "The gate passes: none of 2 benchmarks is slower by ten per cent, and none is missing."
    wrong = asked(pair, ["a", "b", "c"])
    assert conclusion(wrong) == "The gate fails: 1 of what it asks is not so."


def test_what_is_new_is_not_said_to_be_compared() -> None:
    from benchmarks.gate.table import conclusion

    pair = Pair(0, {"a": 0.001}, {"a": 0.001, "b": 0.001})
    assert conclusion(asked(pair)) == (
        "The gate passes: none of 1 benchmarks is slower by ten per cent (new at head, and not compared: 1), "
        "and none is missing."
    )


def test_rounds_go_there_and_back() -> None:
    from benchmarks.gate.verdict import compare

    order: list[str] = []
    for first in (False, True):
        order.clear()
        compare(
            lambda samples, repeat: order.append("A") or [1.0],
            lambda samples, repeat: order.append("B") or [1.0],
            1.0,
            head_first=first,
        )
        assert "".join(order) == ("BAAB" if first else "ABBA") * 12
