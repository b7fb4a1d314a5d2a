"""The verdict and its sentence: something a reader may quote, never without its interval."""

import math
from dataclasses import dataclass

from attnzoo.statistics.controls import Kind
from attnzoo.statistics.numbers import count, digits_for, metric_name, p_text, percent, signed, size
from attnzoo.statistics.records import Interval, Verdict


@dataclass(frozen=True)
class Terms:
    """What all sentences of a comparison share."""

    metric: str
    higher_is_better: bool
    level: float
    margin: float | None
    groups: int
    seeds: int
    arms: int  # compared with the reference: Holm's m
    largest: float  # score that is possible, and so difference

    @property
    def alpha(self) -> float:
        return round(1 - self.level, 12)  # 0.05, and not 0.05000000000000004


@dataclass(frozen=True)
class Judged:
    """A pair's numbers and what they come to."""

    interval: Interval
    narrow: Interval  # of level 1 − 2α: two one-sided tests
    p_holm: float
    smallest: float
    terms: Terms

    @property
    def verdict(self) -> Verdict:
        """A difference is shown by p and interval together; equivalence by the narrow interval within the margin."""
        if self.p_holm < self.terms.alpha and self.leaves_zero_out:
            return "gain" if (self.interval.estimate > 0) == self.terms.higher_is_better else "loss"
        return "equivalent" if self.within_margin else "no difference shown"

    @property
    def leaves_zero_out(self) -> bool:
        """Whether the interval lies on one side of no difference."""
        return self.interval.low > 0 or self.interval.high < 0

    @property
    def within_margin(self) -> bool:
        """Whether the difference, as far as it is known, does not matter."""
        margin = self.terms.margin
        return margin is not None and -margin < self.narrow.low and self.narrow.high < margin


def sentence(arm: str, reference: str, judged: Judged) -> str:
    """A verdict in words, without a full stop."""
    terms, said = judged.terms, judged.verdict
    once = " at this one seed, whatever another training would give" if terms.seeds == 1 else ""
    if said in ("gain", "loss"):
        verb = "gains on" if said == "gain" else "loses to"
        less = f", less than the margin of ±{terms.margin:g}" if judged.within_margin else ""
        return f"`{arm}` {verb} `{reference}`{once}: {measured(judged)}{less}"
    if said == "equivalent":
        return f"`{arm}` and `{reference}` are equivalent within ±{terms.margin:g}{once}: {measured(judged)}"
    power = _power_words(judged.smallest, terms)
    but = ", so that chance may explain it although the interval leaves 0 out" if judged.leaves_zero_out else ""
    return f"No difference between `{arm}` and `{reference}` is shown{once}: {measured(judged)}{but}{power}"


def measured(judged: Judged) -> str:
    """`+0.021 Dice (95 % interval +0.009 to +0.033; p = 0.004, Holm over 3 arms)`."""
    interval, terms = judged.interval, judged.terms
    name = metric_name(terms.metric) + ("" if terms.higher_is_better else ", less is better")
    if math.isnan(interval.low):
        return f"{signed(interval.estimate, 4)} {name} (no interval: {count(terms.groups, 'group')})"
    digits = digits_for((interval.high - interval.low) / 2)
    bounds = f"{signed(interval.low, digits)} to {signed(interval.high, digits)}"
    narrow = _narrow_words(judged) if judged.verdict == "equivalent" else ""
    holm = f", Holm over {terms.arms} arms" if terms.arms > 1 else ""
    estimate = f"{signed(interval.estimate, digits)} {name}"
    return f"{estimate} ({narrow}{percent(terms.level)} interval {bounds}; {p_text(judged.p_holm)}{holm})"


def not_better(kind: Kind, arm: str, control: str, over_reference: str, over_control: str) -> str:
    """What is added when a control gains as well, and the arm is not shown to be better than its control."""
    its, than, so = {
        "matched": (f"its control `{control}`", "it", "capacity, not attention"),
        "frozen": (f"frozen as `{control}` it", "that", "the block's form, not what it learns"),
    }[kind]
    unproved = f"`{arm}` is not shown to be better than {than}, {over_control}"
    return f"; {its} gains too, {over_reference}, and {unproved}: {so}"


def _narrow_words(judged: Judged) -> str:
    narrow = judged.narrow
    digits = digits_for((narrow.high - narrow.low) / 2)
    bounds = f"{signed(narrow.low, digits)} to {signed(narrow.high, digits)}"
    return f"{percent(1 - 2 * judged.terms.alpha)} interval {bounds}, "


def _power_words(smallest: float, terms: Terms) -> str:
    if math.isnan(smallest):
        return ""
    if smallest == 0:
        return "; it is the same everywhere, so that nothing tells what could have been shown"
    have = f"{count(terms.groups, 'group')} and {count(terms.seeds, 'seed')}"
    if smallest >= terms.largest:
        return f"; {have} could have shown no difference, however large"
    return f"; {have} could have shown {size(smallest)}"
