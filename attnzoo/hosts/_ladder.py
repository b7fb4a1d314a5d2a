"""What the networks of other libraries share: numbered sites, strides, and the refusal of what others have changed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from torch import nn

from attnzoo.errors import AttnzooError
from attnzoo.hosts import Site
from attnzoo.hosts._furnish import become, check_forward, own_class, slot_after
from attnzoo.skip import Slot

Stride = int | tuple[int, ...]


@dataclass(frozen=True)
class Place:
    """A site that has not got its name yet; `path` is the slot's."""

    path: str
    beside: str
    channels: int
    stride: Stride
    gates: Mapping[str, int] = field(default_factory=dict)


def after(path: str, channels: int, stride: Stride) -> Place:
    """The place behind a module."""
    return Place(f"{path}.slot", path, channels, stride)


def ladder(
    *,
    encoder: Iterable[Place],
    skips: Iterable[Place] = (),
    bottleneck: Place,
    decoder: Iterable[Place],
    dims: int,
) -> tuple[Site, ...]:
    """The sites of a network whose places are told from the finest level to the coarsest."""
    stages, connections = list(encoder), list(skips)
    found = [
        _site(f"{family}{level}", level, place, dims)
        for family, places in (("encoder", stages), ("skip", connections), ("decoder", decoder))
        for level, place in enumerate(places, start=1)
    ]
    deepest = _site("bottleneck", len(connections or stages) + 1, bottleneck, dims)
    position = next((index for index, site in enumerate(found) if site.name == "decoder1"), len(found))
    return (*found[:position], deepest, *found[position:])


def strides(steps: Iterable[int | Sequence[int]], dims: int) -> list[Stride]:
    """The stride after every step: one number where it is the same along all axes."""
    along, found = (1,) * dims, list[Stride]()
    for step in steps:
        axes = (step,) * dims if isinstance(step, int) else step
        along = tuple(before * factor for before, factor in zip(along, axes, strict=True))
        found.append(along[0] if len(set(along)) == 1 else along)
    return found


def slot_at(model: nn.Module, site: Site, written: Mapping[type, type]) -> Slot:
    """The slot of a site, made where there is none yet.

    Args:
        model: Whose site it is.
        site: Its path ends with `.slot` where the slot follows a module, with `.skip_slot` in a written-out forward.
        written: A library's class → the subclass that writes its forward out, and sends the skip to its `skip_slot`.
    """
    path = site.path
    if path.endswith(".slot"):
        return slot_after(model, path.removesuffix(".slot"))
    inner = path.rpartition(".")[0]
    part: Any = model.get_submodule(inner)
    if (cls := own_class(part)) in written:
        check_forward(part, inner)
        become(part, written[cls])
        part.skip_slot = Slot().train(part.training)
    return cast("Slot", part.skip_slot)


def refuse_strangers(model: nn.Module, parts: Iterable[object], known: Sequence[type], library: str) -> None:
    """Refuse parts that are of another class: a forward written out here would undo what others have changed."""
    for part in parts:
        if (cls := own_class(part)) not in known:
            raise AttnzooError(
                f"`{cls.__name__}` in this `{type(model).__name__}` is not as {library} builds it",
                f"furnish a model that is as {library} builds it",
            )


def _site(name: str, level: int, place: Place, dims: int) -> Site:
    return Site(
        name=name,
        path=place.path,
        beside=place.beside,
        level=level,
        channels=place.channels,
        gates=place.gates,
        stride=place.stride,
        dims=dims,
    )
