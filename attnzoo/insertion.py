"""Furnish a host: the spelling is read, its sites are found, every block is built, and only then does one move in."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import nn

from attnzoo import registry, spec
from attnzoo.errors import AttnzooError, listing
from attnzoo.hosts import Site, host_of
from attnzoo.registry.options import check
from attnzoo.skip import Slot

Model = TypeVar("Model", bound=nn.Module)


def insert(
    model: Model,
    attention: str | spec.Attention,
    *,
    at: str | None = None,
    seed: int | None = None,
    **block_options: spec.Value,
) -> Model:
    """Put attention into a host, in place; a failure leaves the model as it was.

    Args:
        model: A host, such as `attnzoo.UNet()` or `segmentation_models_pytorch.Unet()`.
        attention: Which blocks sit where, as in `"ema:groups=8+gate@skip/ema@bottleneck"`.
        at: The sites, where `attention` does not say them: `at="skip.bottleneck"`.
        seed: Where the blocks' weights start from: each has a stream of its own, so that a block starts alike whatever
            else is inserted. Without a seed, one number is drawn from torch's global generator.
        block_options: Options of the block, where `attention` is a single one: `groups=8`.

    Returns:
        The same model. New blocks share the device, the dtype and the mode of the layers beside them.

    Raises:
        AttnzooError: For a host unknown or furnished already, a site that it lacks, and all that a block refuses.
    """
    host = host_of(model)
    known = host.sites(model)
    wanted = _spell_out(attention, at, block_options)
    chains = _chains(model, wanted, known)
    if seed is not None and type(seed) is not int:
        raise AttnzooError(f"seed={seed!r} is no whole number", "give one, such as seed=0, or none")
    if seed is None:
        seed = int(torch.randint(2**63 - 1, (), device="cpu"))
    built = [
        (site, [(str(block), _build(model, block, site, place, seed)) for place, block in enumerate(chain)])
        for site, chain in chains
    ]
    for site, blocks in built:
        host.slot(model, site).fill(blocks)
    return model


def sites(model: nn.Module) -> tuple[Site, ...]:
    """The places in a host where attention can sit: the skips from the finest down, then the bottleneck."""
    return host_of(model).sites(model)


def insertions(model: nn.Module) -> tuple[dict[str, Any], ...]:
    """What was inserted, a record for every block from the finest skip down, ready for JSON.

    `options` are all of the block's, defaults included, with the values taken: 32 where `groups=auto` was said.
    """
    return tuple(
        {
            "site": site.name,
            "channels": site.channels,
            "block": spelling,
            "options": _taken(spec.parse_block(spelling), block),
            "parameters": sum(parameter.numel() for parameter in block.parameters()),
        }
        for site, spelling, block in inserted(model)
    )


def inserted(model: nn.Module) -> Iterator[tuple[Site, str, nn.Module]]:
    """Every inserted block, from the finest skip down, with its site and how it was spelt."""
    for site in sites(model):
        if (slot := _slot(model, site)) is not None:
            for spelling, block in zip(slot.spellings, slot.blocks, strict=True):
                yield site, spelling, block


def _spell_out(
    attention: str | spec.Attention, at: str | None, block_options: Mapping[str, spec.Value]
) -> spec.Attention:
    """The attention with what the keywords say written into it."""
    if not isinstance(attention, str | spec.Attention):
        raise AttnzooError(
            f"attention is spelt, not given as a `{type(attention).__name__}`", "write it as in `ema:groups=8+gate`"
        )
    wanted = spec.parse(attention) if isinstance(attention, str) else attention
    if block_options:
        blocks = [block for placement in wanted.placements for block in placement.chain]
        if len(blocks) != 1:
            raise AttnzooError(
                f"{listing(block_options, last='and')} could go to any block of `{wanted}`"
                if blocks
                else f"`none` has no block that could take {listing(block_options, last='and')}",
                "keywords are for a single block: write options into the spelling, as in `ema:groups=8+gate`",
            )
        block = replace(blocks[0], options=(*blocks[0].options, *block_options.items()))
        wanted = spec.Attention((replace(wanted.placements[0], chain=(block,)),))
    if at is None:
        return wanted
    if "@" in (said := str(attention)):
        raise AttnzooError(f"`{said}` says where it sits, and at=`{at}` says it again", "leave one of them out")
    return spec.parse(f"{wanted}@{at}")


def _chains(
    model: nn.Module, wanted: spec.Attention, known: tuple[Site, ...]
) -> list[tuple[Site, tuple[spec.Block, ...]]]:
    """The chain of every site that gets one, all of them possible as far as can be told before building."""
    name = type(model).__name__
    for site in known:
        if (slot := _slot(model, site)) is not None and slot.spellings:
            raise AttnzooError(
                f"`{site.name}` of `{name}` holds `{'+'.join(slot.spellings)}` already",
                "build the host anew, and furnish it once: `+` chains blocks, `/` separates sites",
            )
    for placement in wanted.placements:
        _refuse_unknown_words(placement, known, name)
    chains = [(site, chain) for site in known if (chain := wanted.chain_at(site.name))]
    for site, chain in chains:
        for block in chain:
            listens = registry.entry(block.name).listens
            if listens is not None and listens not in site.gates:
                raise AttnzooError(
                    f"`{block.name}` listens to the decoder, and the {site.title} of {name} has none",
                    f"place it on the skips: `{block.name}@skip`",
                )
    return chains


def _refuse_unknown_words(placement: spec.Placement, known: tuple[Site, ...], name: str) -> None:
    """Refuse sites that the host lacks, and blocks and options that nobody has."""
    for word in placement.sites:
        if not any(spec.covers(word, site.name) for site in known):
            words = dict.fromkeys(word for site in known for word in (site.name.rstrip("0123456789"), site.name))
            raise AttnzooError(f"`{name}` has no site `{word}`", f"it has {listing(words, last='and')}")
    for block in placement.chain:
        options = registry.entry(block.name).options
        for option, value in block.options:
            check(block.name, option, value, options)


def _build(model: nn.Module, block: spec.Block, site: Site, position: int, seed: int) -> nn.Module:
    """A block from its own stream, at home beside its neighbours."""
    gate = site.gates.get(registry.entry(block.name).listens or "")
    try:
        with _stream(f"{seed}/{site.name}/{position}/{block.name}"):
            built = registry.build_block(block, site.channels, gate, site.dims)
    except AttnzooError as error:
        raise AttnzooError(f"{error.message} ({site.title} of {type(model).__name__})", error.hint) from error
    neighbours = model.get_submodule(site.beside)
    weights = next(neighbours.parameters())
    return built.to(weights.device, weights.dtype).train(neighbours.training)


@contextmanager
def _stream(name: str) -> Iterator[None]:
    """Inside, torch draws from a stream that the name alone decides, on any device; outside, nothing has happened."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) >> 1
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)
        yield


def _slot(model: nn.Module, site: Site) -> Slot | None:
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
