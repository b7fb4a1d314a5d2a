"""Recipe × arm × seed → runs. Pure: nothing is read, built or written."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from attnzoo import spec
from attnzoo.errors import AttnzooError
from attnzoo.recipe import Recipe
from attnzoo.spec import Attention


@dataclass(frozen=True)
class Run:
    """One arm at one seed: its own recipe, and its folder relative to the ablation's (`ema/seed-0`)."""

    attention: Attention
    seed: int
    recipe: Recipe
    folder: str

    def __str__(self) -> str:
        return f"{self.attention}, seed {self.seed}"


def with_baseline(arms: Sequence[Attention]) -> tuple[Attention, ...]:
    """The arms with `none`, what all others are compared to, in front."""
    none = Attention(())
    return (none, *(arm for arm in arms if arm != none))


def plan(recipe: Recipe, arms: Sequence[Attention], seeds: Sequence[int]) -> tuple[Run, ...]:
    """All runs, seed by seed: after the first round every arm can be compared at one seed."""
    for kind, asked in (("arm", arms), ("seed", seeds)):
        if repeated := [one for index, one in enumerate(asked) if one in asked[:index]]:
            raise AttnzooError(f"the {kind} `{repeated[0]}` was given twice", f"name every {kind} once")
        if not asked:
            raise AttnzooError(f"an ablation needs at least one {kind}", f"name a {kind}")
    return tuple(
        Run(
            arm,
            seed,
            recipe.override({"model.attention": str(arm), "training.seed": seed}),
            f"{arm.folder}/seed-{seed}",
        )
        for seed in seeds
        for arm in arms
    )


def default_folder(recipe: Recipe, data_digest: str) -> Path:
    """`runs/<recipe>-<digest>`: the same recipe and data find their folder again, others get their own."""
    shared = recipe.override({"model.attention": "none", "training.seed": 0})
    digest = hashlib.sha256(f"{shared.digest()} {data_digest}".encode()).hexdigest()
    return Path("runs") / f"{recipe.name}-{digest[:8]}"


def default_run_folder(recipe: Recipe, data_digest: str) -> Path:
    """Where a single run goes: where an ablation by the same recipe on the same data would have put it."""
    arm = spec.parse(recipe.model.attention)
    return default_folder(recipe, data_digest) / arm.folder / f"seed-{recipe.training.seed}"
