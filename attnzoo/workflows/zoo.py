"""What every registered block adds to one recipe's host."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

from attnzoo import registry, spec
from attnzoo.errors import AttnzooError
from attnzoo.measure import Subject
from attnzoo.measure.overhead import overheads
from attnzoo.models import build_model
from attnzoo.recipe import Recipe
from attnzoo.workflows.bench import Size, outputs_of
from attnzoo.workflows.rehearse import check_sizes


@dataclass(frozen=True)
class Zoo:
    """A row for the host and for each block that it takes, from the lowest latency up; and why others have none."""

    rows: tuple[Mapping[str, Any], ...]
    left_out: Mapping[str, str]


def zoo(
    recipe: Recipe,
    at: str = "skip",
    image_size: Size | None = None,
    *,
    device: str = "auto",
    iterations: int | None = None,
    seconds: float = 5.0,
    classes: int | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Zoo:
    """Put every registered block, at its defaults, into a recipe's host, and measure what it adds.

    Args:
        recipe: Whose host; its attention is replaced.
        at: The sites that every block gets: `skip`, `skip1.bottleneck`.
        image_size: Another than the recipe's.
        device: `auto`, `cpu`, `cuda` or `cuda:1`.
        iterations: Timed calls for each; without it 100, or as many as `seconds` allow, but at least ten.
        seconds: Time for each block's latency, and as much for the host beside it.
        classes: Outputs of the network; without it those that the recipe claims, or the paper's 12.
        say: Hears what is being measured.

    Raises:
        AttnzooError: For sites misspelt or that the host lacks, and where every block is left out.
    """
    sized = recipe if image_size is None else recipe.override({"data.image_size": image_size})
    outputs = classes or outputs_of(sized)
    shapes = ((sized.model.in_channels, *sized.data.image_size),)
    names = registry.available()
    left_out: dict[str, str] = {}

    def with_block(name: str) -> nn.Module:
        return build_model(sized.override({"model.attention": str(spec.parse(f"{name}@{at}"))}), outputs)

    def furnished(number: int, name: str) -> Subject:
        say(f"[{number}/{len(names)}] {name}")
        model = with_block(name)
        check_sizes(model, sized.data.image_size)
        return Subject(model, shapes)

    def refuse(name: str, error: AttnzooError) -> None:
        left_out[name] = error.message

    # wrong sites are one mistake of the user's, and no reason to leave out block after block: the first names them as
    # they were typed, and the second asks the host for them, with a block that refuses none
    spec.parse(f"all@{at}")
    with_block("identity")
    host = Subject(build_model(sized.override({"model.attention": "none"}), outputs), shapes)
    others = [(name, partial(furnished, number, name)) for number, name in enumerate(names, start=1)]
    measured = overheads(("none", host), others, device=device, iterations=iterations, seconds=seconds, refuse=refuse)
    first, *rows = ({**row, "classes": outputs} for row in measured)
    if not rows:
        raise AttnzooError(f"no block can be measured at `{at}`", f"the first: {next(iter(left_out.values()))}")
    rows.sort(key=lambda row: (row["relative"]["latency"]["median"], row["params"], row["name"]))
    return Zoo((first, *rows), left_out)
