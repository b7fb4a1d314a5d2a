"""What models and blocks cost, side by side: recipes, the arms of an ablation, or blocks on their own."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from torch import nn

from attnzoo import registry, spec
from attnzoo.errors import AttnzooError
from attnzoo.measure import Subject, compare, parameters
from attnzoo.models import build_model
from attnzoo.recipe import Recipe
from attnzoo.report import figures

CLASSES = 12  # outputs of a network that nobody claims anything of: the paper's number
Size = tuple[int, int]


@dataclass(frozen=True)
class Target:
    """Something to measure: its name and build, input shapes (C, H, W), claimed parameters, a network's outputs."""

    name: str
    build: Callable[[], nn.Module]
    shapes: tuple[tuple[int, ...], ...]
    claim: int | None = None
    classes: int | None = None


@dataclass(frozen=True)
class Report:
    """A row for each target, as `attnzoo.measure.compare` gives it, with `claim` and `classes` added; JSON-ready."""

    rows: tuple[Mapping[str, Any], ...]


def recipe_targets(
    loaded: Sequence[Recipe], image_size: Size | None = None, classes: int | None = None
) -> tuple[Target, ...]:
    """The networks of recipes, with the outputs that are claimed, or others, of which nothing is claimed."""
    names = [recipe.name for recipe in loaded]
    if twice := [name for name in names if names.count(name) > 1]:
        raise AttnzooError(f"two recipes are called `{twice[0]}`", "give one of them another `name`")
    return tuple(
        _network(
            recipe.name,
            _sized(recipe, image_size),
            recipe.claims.parameters if recipe.claims and classes in (None, recipe.claims.classes) else None,
            classes,
        )
        for recipe in loaded
    )


def arm_targets(
    recipe: Recipe, arms: Sequence[spec.Attention], image_size: Size | None = None, classes: int | None = None
) -> tuple[Target, ...]:
    """A recipe's host with each attention, the unfurnished one first."""
    none = spec.Attention()
    every = (none, *(arm for arm in arms if arm != none))
    sized = _sized(recipe, image_size)
    return tuple(_network(str(arm), sized.override({"model.attention": str(arm)}), classes=classes) for arm in every)


def block_targets(blocks: Sequence[spec.Block], channels: int, image_size: Size) -> tuple[Target, ...]:
    """Blocks on a map of that width and size; a gated one with the signal that it listens to, as `UNet` has it.

    Raises:
        AttnzooError: For all that a block refuses, that size included.
    """
    return tuple(_block(block, channels, image_size) for block in blocks)


def every_target(channels: int, image_size: Size, say: Callable[[str], None]) -> tuple[Target, ...]:
    """As `block_targets`, for every registered block that can live there; `say` hears why others cannot."""
    targets = []
    for name in registry.available():
        try:
            targets.append(_block(spec.Block(name), channels, image_size))
        except AttnzooError as error:
            say(f"left out: {error.message}")
    return tuple(targets)


def bench(
    targets: Sequence[Target],
    *,
    device: str = "auto",
    batch: int | None = None,
    iterations: int | None = None,
    seconds: float = 20.0,
    training: bool = True,
    related: bool = True,
    drawn: bool = False,
    progress: bool = False,
) -> Report:
    """Build the targets, check what is claimed of them, and measure them in turns.

    Args:
        targets: The first is what the others are related to.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        batch: Images at once for throughput and training; 8 on a GPU, 2 on the CPU.
        iterations: Timed calls for each; without it 100, or as many as `seconds` allow, but at least ten.
        seconds: Time for each target's latency.
        training: Whether to measure steps of training as well.
        related: Whether a ratio to the first says anything; blocks on their own have no reference.
        drawn: Whether what is added to the first is drawn afterwards: what cannot be is refused before it is timed.
        progress: Tell on stderr what is being done.

    Raises:
        AttnzooError: A target's parameters are not as claimed; a network cannot be built, run, or drawn.
    """
    if not targets:
        raise AttnzooError("there is nothing to measure", "name a recipe, `--attention ema,gate` or `--blocks all`")
    subjects: dict[str, Subject] = {}
    for target in targets:
        module = target.build()
        if target.claim is not None and parameters(module) != target.claim:
            raise AttnzooError(
                f"`{target.name}` claims {target.claim:,} parameters, and its build has {parameters(module):,}",
                "the count follows from `model` and from the classes in `claims`: one of them is wrong",
            )
        subjects[target.name] = Subject(module, target.shapes)
    with _telling(progress) as say:
        rows = compare(
            subjects,
            device=device,
            batch=batch,
            iterations=iterations,
            seconds=seconds,
            training=training,
            say=say,
            check=figures.check_added if drawn else lambda rows: None,
        )
    return Report(
        tuple(
            {**row, "claim": target.claim, "classes": target.classes, "relative": row["relative"] if related else None}
            for row, target in zip(rows, targets, strict=True)
        )
    )


def measure_arms(
    arms: Mapping[str, Recipe], classes: int, *, device: str = "auto", seconds: float = 5.0, progress: bool = False
) -> dict[str, Any]:
    """The costs of an ablation's arms, for its `cost.json`: `{"reference": first arm, "arms": {arm: row}}`.

    Args:
        arms: The recipe of each; the first is what the others are related to.
        classes: Outputs of the networks.
        device: As in `bench`; what has no clock here (`mps`) is measured on the CPU instead.
        seconds: Time for each arm's latency.
        progress: Tell on stderr what is being done.
    """
    targets = [_network(name, recipe, classes=classes) for name, recipe in arms.items()]
    report = bench(targets, device="cpu" if device == "mps" else device, seconds=seconds, progress=progress)
    return {"reference": targets[0].name, "arms": {row["name"]: dict(row) for row in report.rows}}


def _network(name: str, recipe: Recipe, claim: int | None = None, classes: int | None = None) -> Target:
    outputs = classes or outputs_of(recipe)
    shape = (recipe.model.in_channels, *recipe.data.image_size)
    return Target(name, lambda: build_model(recipe, outputs), (shape,), claim, outputs)


def outputs_of(recipe: Recipe) -> int:
    """How many outputs a recipe's network has where no data say it."""
    return recipe.claims.classes if recipe.claims is not None else CLASSES


def _block(block: spec.Block, channels: int, image_size: Size) -> Target:
    # one level below the skip there are twice the channels on half the size
    coarse = (2 * channels, *(max(1, side // 2) for side in image_size))
    skip = (channels, *image_size)
    heard = {"upsampled": skip, "coarse": coarse}
    signal = registry.signal(block)
    built = registry.build_block(block, channels, heard[signal][0] if signal else None)
    if (check := getattr(built, "check_size", None)) is not None:
        check(image_size)
    listens = getattr(built, "listens", None)  # `matched` needs a signal's width, and hears nothing
    return Target(str(block), lambda: built, (skip, heard[listens]) if listens else (skip,))


def _sized(recipe: Recipe, image_size: Size | None) -> Recipe:
    return recipe if image_size is None else recipe.override({"data.image_size": image_size})


@contextmanager
def _telling(progress: bool) -> Iterator[Callable[[str], None]]:
    """A line on stderr that says what is being done, and leaves nothing behind."""
    if not progress:
        yield lambda line: None
        return
    with Console(stderr=True).status("building") as status:
        yield status.update
