"""All arms against one: what all the numbers come down to."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from attnzoo.errors import AttnzooError, did_you_mean, listing
from attnzoo.statistics import cautions, flips, words
from attnzoo.statistics.controls import KINDS, control
from attnzoo.statistics.evidence import Evidence
from attnzoo.statistics.method import method
from attnzoo.statistics.records import Arm, Comparison, Difference
from attnzoo.statistics.study import Pair, Study, pair, score, study
from attnzoo.statistics.sums import present
from attnzoo.statistics.words import Judged, Terms

Key = TypeVar("Key", int, str)


def compare(
    evidence: Evidence,
    reference: str = "none",
    *,
    margin: float | None = None,
    level: float = 0.95,
    draws: int = 2000,
    permutations: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Compare every arm with a reference arm, paired by image, resampled by group and across seeds.

    A gain or a loss is said only where `p_holm` is below 1 − level and the interval excludes 0. The p-value must hold
    against chance in both, the groups that were tested and the seeds that were trained, so it is the larger of two: the
    intersection–union rule, which keeps the level without a correction of its own.

    Args:
        evidence: What the runs say.
        reference: The arm that the others are compared with.
        margin: The difference that would not matter, in units of the metric: lets arms be called equivalent.
        level: Of all intervals; 1 − level is the level of the tests.
        draws: Bootstrap draws.
        permutations: Swaps of the permutation test; fewer groups than that many patterns are counted exactly.
        seed: Of the draws; the same evidence and seed give the same numbers.

    Raises:
        AttnzooError: For an unknown reference, a sole arm, impossible options, or classes that no image has.
    """
    _check(evidence, reference, margin, level, draws, permutations)
    of = study(evidence, draws, permutations, seed)
    others = [index for index, name in enumerate(evidence.arms) if name != reference]
    home = evidence.arms.index(reference)
    terms = Terms(
        metric=evidence.metric,
        higher_is_better=evidence.higher_is_better,
        level=level,
        margin=margin,
        groups=of.groups,
        seeds=len(evidence.seeds),
        arms=len(others),
        largest=evidence.largest,
    )
    differences = _differences(of, others, home, terms)
    return Comparison(
        metric=evidence.metric,
        higher_is_better=evidence.higher_is_better,
        reference=reference,
        level=level,
        margin=margin,
        arms=tuple(
            Arm(name, score(of, index, level), tuple(map(float, of.scores[index])), differences.get(index))
            for index, name in enumerate(evidence.arms)
        ),
        groups=len(of.sums.names),
        images=len(evidence.images),
        seeds=len(evidence.seeds),
        classes=of.sums.classes,
        method=method(of, terms, draws, seed),
        cautions=cautions.of_all(of, terms),
    )


def by_class(evidence: Evidence, reference: str = "none", **options: Any) -> dict[str, Comparison]:
    """The same for each class alone that the ground truth has, by its name, with `compare`'s options.

    Holm's correction is over arms, not over classes.
    """
    having = [name for name, there in zip(evidence.classes, present(evidence.there), strict=True) if there]
    return {name: compare(evidence.only([name]), reference, **options) for name in having}


def _differences(of: Study, others: Sequence[int], home: int, terms: Terms) -> dict[int, Difference]:
    names = of.evidence.arms
    pairs = {index: pair(of, index, home) for index in others}
    judged = _judge(pairs, of, terms)
    controls = _control_words(of, {names[index]: one for index, one in judged.items()}, terms)
    general = cautions.of_all(of, terms)
    return {
        index: Difference(
            to=names[home],
            interval=judged[index].interval,
            per_seed=one.per_seed,
            effect=one.effect,
            superior=one.superior,
            p_groups=one.p_groups,
            p=one.p,
            p_holm=judged[index].p_holm,
            smallest=judged[index].smallest,
            verdict=judged[index].verdict,
            words=f"{words.sentence(names[index], names[home], judged[index])}{controls.get(names[index], '')}.",
            cautions=(*general, *cautions.of_arm(of, index, home, judged[index].verdict)),
        )
        for index, one in pairs.items()
    }


def _judge(pairs: Mapping[Key, Pair], of: Study, terms: Terms) -> dict[Key, Judged]:
    """Correct over all pairs of a family, and judge each."""
    corrected = flips.holm([one.p for one in pairs.values()])
    alpha, stretch = flips.attainable(len(of.sums.names), of.permutations, terms.alpha / len(pairs))
    family = replace(terms, arms=len(pairs))
    return {
        key: Judged(
            one.interval(terms.level),
            one.interval(1 - 2 * terms.alpha),
            p_holm,
            one.spread.smallest(alpha, stretch) if alpha or not one.spread.known else math.inf,
            family,
        )
        for (key, one), p_holm in zip(pairs.items(), corrected, strict=True)
    }


def _control_words(of: Study, judged: Mapping[str, Judged], terms: Terms) -> dict[str, str]:
    """By arm, what is to be added because its control gains as well."""
    place = {name: index for index, name in enumerate(of.evidence.arms)}
    said: dict[str, str] = {}
    for kind in KINDS:
        named = {arm: control(arm, kind) for arm in judged}
        controls = {arm: name for arm, name in named.items() if name in judged}
        if not controls:
            continue
        pairs = {arm: pair(of, place[arm], place[name]) for arm, name in controls.items()}
        for arm, over in _judge(pairs, of, terms).items():
            both_gain = judged[arm].verdict == judged[controls[arm]].verdict == "gain"
            if both_gain and over.verdict != "gain":
                told = words.not_better(
                    kind, arm, controls[arm], words.measured(judged[controls[arm]]), words.measured(over)
                )
                said[arm] = said.get(arm, "") + told
    return said


def _check(
    evidence: Evidence, reference: str, margin: float | None, level: float, draws: int, permutations: int
) -> None:
    if reference not in evidence.arms:
        raise AttnzooError(
            f"`{reference}` is no arm of this evidence, which has {listing(evidence.arms, last='and')}",
            did_you_mean(reference, evidence.arms) or "name one of them as the reference",
        )
    if len(evidence.arms) == 1:
        raise AttnzooError(f"`{reference}` is the only arm: there is nothing to compare it with", "run another arm")
    if not 0.5 < level < 1:
        raise AttnzooError(f"`{level}` is no level of an interval, which is between 0.5 and 1", "95 % is `0.95`")
    if margin is not None and not 0 < margin < math.inf:
        raise AttnzooError(f"`{margin}` is no margin, which is above 0", "it is the difference that would not matter")
    for name, number, least in (("draws", draws, 100), ("permutations", permutations, 20)):
        if number < least:
            raise AttnzooError(f"{name} of `{number}` are too few, {least} is the least", "leave the default")
