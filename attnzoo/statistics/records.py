"""What a comparison finds: frozen records, from the page's point of view down to one interval."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["gain", "loss", "no difference shown", "equivalent"]


@dataclass(frozen=True)
class Interval:
    """An estimate and the interval around it; `low` and `high` are NaN where none can be had (one group)."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """An arm against the reference.

    Attributes:
        to: The reference arm.
        interval: Of arm − reference, mean over seeds.
        per_seed: Arm − reference at each seed.
        effect: Mean over SD of the groups' own differences, arm − reference (d_z); NaN where undefined.
        superior: Share of groups in which the arm is better; ties count half; NaN where no group has a class.
        p_groups: Paired permutation test over groups, two-sided: whole groups swap arms.
        p: What the verdict rests on: the larger of `p_groups` and of the interval's own test over groups and seeds.
        p_holm: `p` after Holm's correction over the arms of the comparison.
        smallest: The smallest true difference that this many groups and seeds show in four of five such experiments, at
            the corrected level; inf where no difference could be shown, NaN where there is no interval.
        verdict: In a word.
        words: In a sentence: verdict, difference with its interval, p; and what a control says of it.
        cautions: What is to be said beside the verdict.
    """

    to: str
    interval: Interval
    per_seed: tuple[float, ...]
    effect: float
    superior: float
    p_groups: float
    p: float
    p_holm: float
    smallest: float
    verdict: Verdict
    words: str
    cautions: tuple[str, ...]


@dataclass(frozen=True)
class Arm:
    """An arm's score, and its difference to the reference: None for the reference itself."""

    name: str
    score: Interval
    per_seed: tuple[float, ...]
    difference: Difference | None


@dataclass(frozen=True)
class Comparison:
    """All arms of an evidence against one of them.

    Attributes:
        classes: Those that the score is a mean over: the ground truth has them.
        method: How intervals, test, correction and power were computed, with draws and seed, for a caption.
        cautions: What is to be said of the comparison as a whole.
    """

    metric: str
    higher_is_better: bool
    reference: str
    level: float
    margin: float | None
    arms: tuple[Arm, ...]
    groups: int
    images: int
    seeds: int
    classes: tuple[str, ...]
    method: str
    cautions: tuple[str, ...]
