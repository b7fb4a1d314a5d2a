"""How the numbers came about, for a caption."""

from attnzoo.results import ALL
from attnzoo.statistics.flips import exact
from attnzoo.statistics.numbers import COUNTED, count, percent
from attnzoo.statistics.study import Study
from attnzoo.statistics.words import Terms


def method(of: Study, terms: Terms, draws: int, seed: int) -> str:
    """Intervals, test, correction and power in a few sentences."""
    classes = count(len(of.sums.classes), "class", "classes") if of.sums.classes != (ALL,) else "all classes together"
    what = "ratios of sums" if terms.metric in COUNTED else "means"
    score = f"A score is the mean over {count(terms.seeds, 'seed')} and {classes} of {what} over all images."
    if terms.groups < 2:
        return f"{score} One group: no interval and no test."
    level = f"{terms.alpha:.3g}/{terms.arms}" if terms.arms > 1 else f"{terms.alpha:.3g}"
    said = [
        score,
        f"{percent(terms.level)} intervals: {_variances(of, terms, draws)}.",
        f"p: the larger of the interval's own and that of a paired permutation test ({_swaps(of)}, two-sided)"
        + (f", after Holm over {terms.arms} arms." if terms.arms > 1 else "."),
        f"Smallest difference: 80 % power at the level {level}.",
    ]
    if terms.margin is not None:
        said.append(f"Equivalence: the {percent(1 - 2 * terms.alpha)} interval within ±{terms.margin:g}.")
    return " ".join([*said, f"Random numbers: PCG64, seed {seed}."])


def _variances(of: Study, terms: Terms, draws: int) -> str:
    drawn = f"the variance of {draws:,} paired draws of whole groups ({of.weight - 1:.3g} degrees of freedom)"
    if terms.seeds == 1:
        return f"{drawn} and a t quantile; there is one seed, so that retraining is not covered"
    return f"{drawn} and that between seeds ({terms.seeds - 1}), each with its own t quantile (Banerjee 1960)"


def _swaps(of: Study) -> str:
    groups = len(of.sums.names)
    if exact(groups, of.permutations):
        return f"all {2 ** (groups - 1):,} distinct swaps of whole groups"
    return f"{of.permutations:,} random swaps of whole groups"
