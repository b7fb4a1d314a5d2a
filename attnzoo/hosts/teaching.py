"""Teach attnzoo a network of your own: where its sites are."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from torch import nn

from attnzoo.errors import AttnzooError, did_you_mean, listing
from attnzoo.hosts import TAUGHT, Site, known_hosts
from attnzoo.hosts._furnish import After, check_room, slot_after
from attnzoo.skip import Slot
from attnzoo.spec.attention import site_order

Tell = TypeVar("Tell", bound=Callable[[Any], Iterable[Site]])
_SIGNALS = ("upsampled", "coarse")


def site(
    name: str,
    path: str,
    channels: int,
    *,
    stride: int | tuple[int, ...] = 0,
    gates: Mapping[str, int] | None = None,
    dims: int = 2,
) -> Site:
    """A site of a network, as a function under `attnzoo.teach` tells it.

    Args:
        name: `skip1` (the finest), `encoder1`, `decoder1`, …, `bottleneck`.
        path: Either of an `attnzoo.Slot()` that the network's forward calls, or of any module, whose result then passes
            a slot.
        channels: Width of the feature there.
        stride: Input pixels per pixel of the feature; only blocks that are bound to a map size ask for it.
        gates: Widths of the decoder's signals that the forward gives to a slot of its own, by keyword:
            `{"upsampled": 64}` where it says `self.slot(skip, upsampled=x)`.
        dims: Spatial dimensions, 2 or 3.

    Raises:
        AttnzooError: For a name that is no site's, and for impossible numbers.
    """
    _, level = site_order(name)
    if not level and name != "bottleneck":
        raise AttnzooError(f"`{name}` is every level, and a site is one", f"name the finest `{name}1`")
    numbers = {"channels": channels, **{f"gates[{signal!r}]": width for signal, width in (gates or {}).items()}}
    for what, number in numbers.items():
        if type(number) is not int or number < 1:
            raise AttnzooError(f"`{name}` cannot have {what}={number!r}", "a width is a whole number from 1 up")
    if unknown := [signal for signal in gates or {} if signal not in _SIGNALS]:
        raise AttnzooError(f"`{name}` cannot offer the signal `{unknown[0]}`", f"a slot hears {listing(_SIGNALS)}")
    if dims not in (2, 3):
        raise AttnzooError(f"`{name}` cannot have dims={dims!r}", "dims is 2 for images and 3 for volumes")
    return Site(name, path, path, level, channels, dict(gates or {}), stride, dims)


def teach(network: type[nn.Module] | str) -> Callable[[Tell], Tell]:
    """Tell attnzoo the sites of a network; stands as a decorator above a function from the network to its sites.

    Args:
        network: The class, or its full name, `my_package.my_module.MyNet`, where it shall not be imported yet. Classes
            derived from it have its sites too. Teaching it again replaces what was told.

    Raises:
        AttnzooError: For what is no network, and for one that attnzoo knows by itself.
    """
    full = f"{network.__module__}.{network.__qualname__}" if isinstance(network, type) else network
    foreign = isinstance(network, type) and not issubclass(network, nn.Module)
    if foreign or not isinstance(full, str) or "." not in full:
        raise AttnzooError(
            f"`{network}` is no network that could have sites",
            "give a class derived from `torch.nn.Module`, or its full name, `my_package.my_module.MyNet`",
        )
    if full in known_hosts():
        raise AttnzooError(f"attnzoo knows the sites of `{full}` already", "teach it a class derived from this one")

    def put(tell: Tell) -> Tell:
        TAUGHT[full] = _Taught(tell)
        return tell

    return put


@dataclass(frozen=True)
class _Taught:
    """A host that somebody has taught."""

    tell: Callable[[Any], Iterable[Site]]

    def sites(self, model: nn.Module) -> tuple[Site, ...]:
        """The sites in the order of the network, all of them checked."""
        given = self.tell(model)
        if not isinstance(given, Iterable):
            what = "None" if given is None else type(given).__name__
            raise AttnzooError(
                f"`{type(model).__name__}` was taught by a function that gives `{what}` and no sites",
                "`yield` each site, or return a list of them",
            )
        told = list(given)
        if strange := [one for one in told if not isinstance(one, Site)]:
            raise AttnzooError(
                f"`{type(model).__name__}` was taught a `{type(strange[0]).__name__}` as a site",
                'write it as in `attnzoo.site("skip1", "gate1", 64)`',
            )
        told.sort(key=lambda site: site_order(site.name))
        names = [site.name for site in told]
        for site in told:
            if names.count(site.name) > 1:
                raise AttnzooError(f"`{type(model).__name__}` has the site `{site.name}` twice", "number the levels")
        deepest = 1 + max((site.level for site in told), default=0)
        return tuple(_found(model, replace(site, level=site.level or deepest)) for site in told)

    def slot(self, model: nn.Module, site: Site) -> Slot:
        """The slot of a site: the network's own, or made behind a module."""
        try:
            return cast("Slot", model.get_submodule(site.path))
        except AttributeError:
            return slot_after(model, site.beside)


def _found(model: nn.Module, site: Site) -> Site:
    """A site as it is in this network."""
    name, modules = type(model).__name__, dict(model.named_modules(remove_duplicate=False))
    if not site.path or site.path not in modules:
        raise AttnzooError(
            f"the {site.title} of `{name}` has no module `{site.path}`",
            did_you_mean(site.path, modules) or "`model.named_modules()` tells all paths",
        )
    if isinstance(modules[site.path], Slot):
        # a slot has no weights to tell where its blocks should live: whoever holds it has
        return replace(site, beside=_holder(model, site.path))
    if site.gates:
        raise AttnzooError(
            f"the {site.title} of `{name}` is behind `{site.path}`, where no decoder is heard",
            "for gates, put an `attnzoo.Slot()` into the network's forward, and give its path",
        )
    check_room(model, site.path)
    return replace(site, path=f"{site.path}.{After.child}")


def _holder(model: nn.Module, path: str) -> str:
    """The nearest module around a path that has weights; the whole network at last."""
    while path:
        path = path.rpartition(".")[0]
        if next(model.get_submodule(path).parameters(), None) is not None:
            return path
    return path
