"""Which arms and seeds can be compared where some runs are missing. Knows no scores."""

from collections.abc import Sequence

from attnzoo.workflows.finished import Finished


def largest(runs: Sequence[Finished], reference: str) -> tuple[tuple[Finished, ...], list[str]]:
    """The largest block of arms × seeds without a hole, and what is left out of it, in words."""
    have: dict[str, list[int]] = {}
    for run in runs:
        have.setdefault(run.arm, []).append(run.seed)
    count = {seed: sum(seed in mine for mine in have.values()) for seed in dict.fromkeys(run.seed for run in runs)}
    allowed = have.get(reference, list(count))
    ranked = sorted((seed for seed in count if seed in allowed), key=lambda seed: -count[seed])
    blocks = [
        ([arm for arm, mine in have.items() if set(ranked[:number]) <= set(mine)], set(ranked[:number]))
        for number in range(1, len(ranked) + 1)
    ]
    arms, seeds = max(blocks, key=lambda block: (len(block[0]) > 1, len(block[0]) * len(block[1]), len(block[0])))
    left_out = []
    for arm, mine in have.items():
        if arm not in arms:
            left_out.append(f"`{arm}` is not compared: it lacks {numbered(sorted(seeds - set(mine)))}")
    if unused := [seed for seed in count if seed not in seeds]:
        left_out.append(
            f"compared at {numbered([*(s for s in count if s in seeds)])} alone: not every arm has {numbered(unused)}"
        )
    return tuple(run for run in runs if run.arm in arms and run.seed in seeds), left_out


def missing(gaps: Sequence[tuple[str, int, str]], arms: int) -> list[str]:
    """What is the matter with each (arm, seed), in words; seeds of which all `arms` lack the same, in one line."""
    at: dict[int, list[str]] = {}
    for _, seed, gap in gaps:
        at.setdefault(seed, []).append(gap)
    alike = {seed: each[0] for seed, each in at.items() if arms > 1 and len(each) == arms and len(set(each)) == 1}
    shared = {gap: [seed for seed, same in alike.items() if same == gap] for gap in alike.values()}
    return [
        *(f"`{arm}`, seed {seed} {gap}" for arm, seed, gap in gaps if seed not in alike),
        *(f"every arm, at {numbered(seeds)}, {gap}" for gap, seeds in shared.items()),
    ]


def numbered(seeds: Sequence[int]) -> str:
    """`seed 0` or `seeds 0, 1`."""
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
