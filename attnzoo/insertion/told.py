"""What is told of a network: its sites, and what sits there."""

from collections.abc import Iterator
from typing import Any

from torch import nn

from attnzoo import registry, spec
from attnzoo.errors import AttnzooError, first_line
from attnzoo.hosts import TAUGHT, Host, Site, anywhere, find_host, host_of
from attnzoo.hosts._furnish import check_runs
from attnzoo.skip import Slot


def sites(model: nn.Module) -> tuple[Site, ...]:
    """The places in a host where attention can sit: encoder, skips, bottleneck, decoder, each from the finest level.

    Modules that attention was put behind by their paths come last; in a network that is no host they are all.

    Raises:
        AttnzooError: For what is no host, and holds no attention either; and where a module that holds some was
            replaced by one that does not run it.
    """
    host = find_host(model)
    refuse_idle(model)
    said = anywhere.sites(model)
    if host is None:
        return said or host_of(model).sites(model)
    return (*host_sites(model, host), *said)


def refuse_idle(model: nn.Module) -> None:
    """Refuse a network that holds attention which its forward would go past."""
    for path, module in model.named_modules():
        for child in module.children():
            if isinstance(child, Slot):
                check_runs(module, child, path)


def host_sites(model: nn.Module, host: Host) -> tuple[Site, ...]:
    """The sites that a host tells of a model.

    Raises:
        AttnzooError: As the host; and where it does not find what its library builds.
    """
    try:
        return host.sites(model)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        if host in TAUGHT.values():  # whose teacher wants to see where
            raise
        raise AttnzooError(
            f"this `{type(model).__name__}` is not as its library builds it: {first_line(error)}",
            'furnish it, and ask for its sites, before you change it; or name a module, as in `at="backbone.layer2"`',
        ) from error


def insertions(model: nn.Module) -> tuple[dict[str, Any], ...]:
    """What was inserted, a record for every block in the order of `sites`, ready for JSON.

    `options` are all of the block's, defaults included, with the values taken: 32 where `groups=auto` was said.
    `residual` is `zero` where the site's one γ, which `parameters` leaves out, weighs what its blocks change.
    """
    return tuple(
        {
            "site": site.name,
            "channels": site.channels,
            "block": spelling,
            "options": _taken(spec.parse_block(spelling), block),
            "parameters": sum(parameter.numel() for parameter in block.parameters()),
            "residual": slot.residual,
        }
        for site, slot in filled(model)
        for spelling, block in zip(slot.spellings, slot.blocks, strict=True)
    )


def inserted(model: nn.Module) -> Iterator[tuple[Site, str, nn.Module]]:
    """Every inserted block in the order of `sites`, with its site and how it was spelt."""
    for site, slot in filled(model):
        for spelling, block in zip(slot.spellings, slot.blocks, strict=True):
            yield site, spelling, block


def filled(model: nn.Module) -> Iterator[tuple[Site, Slot]]:
    """Every site that holds blocks, with its slot."""
    for site in sites(model):
        if (slot := slot_at(model, site)) is not None and slot.spellings:
            yield site, slot


def slot_at(model: nn.Module, site: Site) -> Slot | None:
    """The slot of a site, if there is one yet."""
    try:
        found = model.get_submodule(site.path)
    except AttributeError:
        return None
    return found if isinstance(found, Slot) else None


def _taken(spelt: spec.Block, block: nn.Module) -> dict[str, Any]:
    """An option's value is what the block keeps under the option's name, where that is a plain value."""
    said = dict(spelt.options)
    taken = {}
    for name, option in registry.entry(spelt.name).options.items():
        kept = getattr(block, name, None)
        value = kept if isinstance(kept, bool | int | float | str) else said.get(name, option.default)
        taken[name] = value if isinstance(value, bool | int | float | None) else str(value)
    return taken
