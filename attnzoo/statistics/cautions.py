"""What stands beside a verdict, and not in a footnote."""

from attnzoo.statistics.controls import control
from attnzoo.statistics.flips import exact, least
from attnzoo.statistics.numbers import count, metric_name
from attnzoo.statistics.study import Study
from attnzoo.statistics.words import Terms

# the spread of two seeds is one number, and its t quantile is 12.7; of three it is 4.3, of five 2.8
ENOUGH_SEEDS = 3
# below, swaps are too few for a test among several arms (2^(1 - 8) = 0.008), and one odd patient decides
ENOUGH_GROUPS = 10
# a class in two patients says more of them than of the class
ENOUGH_WITH_CLASS = 3


def of_all(of: Study, terms: Terms) -> tuple[str, ...]:
    """Cautions that hold for every arm of a comparison."""
    return (*_seeds(terms), *_groups(of, terms), *_classes(of))


def of_arm(of: Study, arm: int, reference: int, said: str) -> tuple[str, ...]:
    """Cautions about one arm alone."""
    return (*_undefined(of, arm, reference), *_uncontrolled(of, arm, reference, said))


def least_p(of: Study) -> float:
    """The smallest p-value that this many groups and permutations can give."""
    return least(len(of.sums.names), of.permutations)


def _seeds(terms: Terms) -> list[str]:
    if terms.seeds == 1:
        return ["1 seed: intervals and p say nothing of retraining; another seed may turn the verdict"]
    if terms.seeds < ENOUGH_SEEDS:
        return [f"{terms.seeds} seeds: fewer than {ENOUGH_SEEDS}, so that how far seeds differ is hardly known"]
    return []


def _groups(of: Study, terms: Terms) -> list[str]:
    if terms.groups == 1:
        return ["1 group: no interval and no test, for images of one group say nothing of another"]
    said = []
    total = len(of.sums.names)
    if of.evidence.ungrouped:
        alone = "no `data.group_pattern` says which images are of one patient or photo, so each counts by itself"
        said.append(f"{alone}: if some belong together, intervals and p are too sure")
    if terms.groups < total:
        rest = f"{total - terms.groups} of {total} groups have no ground truth"
        said.append(f"{rest}: they count by what is wrongly found in them, and intervals rest on the others")
    smallest = f"{least_p(of):.2g}"
    if terms.groups < ENOUGH_GROUPS:
        few = f"{terms.groups} groups: fewer than {ENOUGH_GROUPS}"
        said.append(f"{few}, so that one odd group may decide; no p is below {smallest}")
    if of.weight < min(ENOUGH_GROUPS, terms.groups / 2):
        said.append(f"{terms.groups} groups weigh as {of.weight:.1f} of equal size: a few hold most of what is scored")
    if least_p(of) * terms.arms >= terms.alpha:
        few = count(total, "group") if exact(total, of.permutations) else count(of.permutations, "permutation")
        among = f" among {terms.arms} arms" if terms.arms > 1 else ""
        said.append(f"{few} cannot show any difference{among}: the smallest possible p is {smallest} before correction")
    return said


def _classes(of: Study) -> list[str]:
    said = []
    if absent := [name for name in of.evidence.classes if name not in of.sums.classes]:
        are = "is" if len(absent) == 1 else "are"
        said.append(f"{', '.join(f'`{name}`' for name in absent)} {are} in no test image's ground truth, and left out")
    for name, having in zip(of.sums.classes, of.sums.there.sum(axis=0), strict=True):
        if having < ENOUGH_WITH_CLASS <= of.groups:
            rare = f"`{name}` is in {count(int(having), 'group')} of {of.groups}"
            said.append(f"{rare}: its share of the score rests on that")
    return said


def _undefined(of: Study, arm: int, reference: int) -> list[str]:
    """Where less is better, what has no value is no zero: means are over what is left."""
    if of.sums.higher_is_better:
        return []
    evidence = of.evidence
    missing = ((evidence.bottom == 0) & evidence.there).sum(axis=(1, 2, 3))
    if not (missing[arm] or missing[reference]):
        return []
    total = len(evidence.seeds) * int(evidence.there.sum())
    name = metric_name(evidence.metric)
    return [
        f"`{evidence.arms[arm]}` has no {name} in {missing[arm]} of {total} cases, `{evidence.arms[reference]}` in "
        f"{missing[reference]}: the means are over the others, and not over the same"
    ]


def _uncontrolled(of: Study, arm: int, reference: int, said: str) -> list[str]:
    name = of.evidence.arms[arm]
    matched = control(name, "matched")
    if said != "gain" or of.evidence.arms[reference] != "none" or not matched or matched in of.evidence.arms:
        return []
    return [f"no control `{matched}` ran: capacity alone may bring as much"]
