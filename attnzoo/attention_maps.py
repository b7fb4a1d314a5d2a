"""What the blocks of a network do to the maps that pass: `with maps(model) as shown: model(x)`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import nn

from attnzoo.errors import AttnzooError
from attnzoo.hosts import Site, is_compiled, wrapper_of
from attnzoo.insertion import filled
from attnzoo.skip import Shown, Slot, Watcher

Key = tuple[str, str]


class Maps(Mapping[Key, Shown]):
    """(site, block) → what the block did in the last forward; in the order of the sites, then of the chain.

    A block is named as it was spelt, `("skip1", "ema:groups=8")`; where a chain holds an equal one again, that is
    `ema:groups=8#2`.

    Attributes:
        sites: (site, block) → the site, for all that could be seen.
    """

    def __init__(self, sites: Mapping[Key, Site]) -> None:
        self.sites = sites
        self._seen: dict[Key, Shown] = {}

    def __getitem__(self, key: Key) -> Shown:
        return self._seen[key]

    def __iter__(self) -> Iterator[Key]:
        return (key for key in self.sites if key in self._seen)

    def __len__(self) -> int:
        return len(self._seen)

    def __repr__(self) -> str:
        return f"Maps({', '.join(f'{site} {block}' for site, block in self)})"

    def watcher(self, keys: tuple[Key, ...]) -> Watcher:
        """What a slot tells of its blocks is kept under these keys."""

        def watch(place: int, shown: Shown) -> None:
            self._seen[keys[place]] = shown

        return watch


@contextmanager
def maps(model: nn.Module) -> Iterator[Maps]:
    """Inside, every forward leaves behind what each inserted block did; outside, nothing is kept or computed.

    A map has a `kind` and a `tensor`: of a block that scales, the factor, `weights(x[, gate])`; of one that adds, what
    was added, `added(x[, gate])`; of any other, the L2 norm over the channels of what it changed. It is detached, on
    the model's device, and what the block itself did: the γ of a residual slot is not in it. The network's results are
    those without a look, to the bit. Of several forwards the last one counts, site by site.

    Args:
        model: A furnished network. Where it runs inside a wrapper such as `DistributedDataParallel`, the one within.

    Raises:
        AttnzooError: For a network without attention or inside a wrapper, and where nothing has passed its slots.
    """
    if isinstance(model, nn.Module):
        _refuse_wrapped(model)
    slots = [(_keys(site, slot), slot) for site, slot in filled(model)]
    shown = Maps(map_keys(model))
    watchers = [(slot, shown.watcher(keys)) for keys, slot in slots]
    for slot, watcher in watchers:
        slot.watchers = (*slot.watchers, watcher)
    try:
        yield shown
    finally:
        for slot, watcher in watchers:
            slot.watchers = tuple(other for other in slot.watchers if other is not watcher)
            if not slot.watchers:
                del slot.watchers  # the class has none
    if not shown:
        raise AttnzooError(
            f"nothing has passed the attention of `{type(model).__name__}` inside `maps`",
            "run this very model there, not a compiled or exported copy of it",
        )


def map_keys(model: nn.Module) -> Mapping[Key, Site]:
    """What could be seen of a network: (site, block) → the site.

    Raises:
        AttnzooError: For a network without attention.
    """
    if found := {key: site for site, slot in filled(model) for key in _keys(site, slot)}:
        return found
    raise AttnzooError(
        f"`{type(model).__name__}` holds no attention that could be seen", "furnish it first: `attnzoo.insert`"
    )


def _keys(site: Site, slot: Slot) -> tuple[Key, ...]:
    """The keys of a chain's maps: equal blocks are counted from the second on."""
    earlier = [slot.spellings[:place].count(spelling) for place, spelling in enumerate(slot.spellings)]
    return tuple(
        (site.name, f"{spelling}#{count + 1}" if count else spelling)
        for spelling, count in zip(slot.spellings, earlier, strict=True)
    )


def _refuse_wrapped(model: nn.Module) -> None:
    wrapper = wrapper_of(model)
    if wrapper == "OptimizedModule" or (wrapper is None and is_compiled(model)):
        raise AttnzooError("a compiled model shows no maps", "take those of the model before it is compiled")
    if wrapper is not None:
        raise AttnzooError(f"`{wrapper}` is around the model that has the maps", "ask for those of `model.module`")
