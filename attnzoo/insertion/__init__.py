"""Furnish a host: the spelling is read, its sites are found, every block is built, and only then does one move in."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, Literal, TypeVar, cast, get_args

import torch
from torch import Tensor, nn

from attnzoo import registry, spec
from attnzoo.errors import AttnzooError, listing
from attnzoo.hosts import Host, Site, anywhere, find_host, host_of
from attnzoo.insertion.moving import move_in
from attnzoo.insertion.told import filled, host_sites, inserted, insertions, refuse_idle, sites, slot_at
from attnzoo.insertion.words import names_sites, spell_out
from attnzoo.registry.options import check
from attnzoo.spec.attention import FAMILIES

__all__ = ["Residual", "filled", "insert", "inserted", "insertions", "sites"]

Model = TypeVar("Model", bound=nn.Module)
Residual = Literal["none", "zero"]
Chains = list[tuple[Site, tuple[spec.Block, ...]]]

_OR_PATH = '; or name a module by its path, as in `at="backbone.layer2"`'


def insert(
    model: Model,
    attention: str | spec.Attention,
    *,
    at: str | None = None,
    levels: int | Sequence[int] | None = None,
    residual: Residual = "none",
    seed: int | None = None,
    channels: int | None = None,
    example: Tensor | tuple[Any, ...] | None = None,
    **block_options: spec.Value,
) -> Model:
    """Put attention into a network, in place; a failure leaves the model as it was.

    Args:
        model: A host, such as `attnzoo.UNet()` or `segmentation_models_pytorch.Unet()`; with a path, any network.
        attention: Which blocks sit where, as in `"ema:groups=8+gate@skip/ema@bottleneck"`.
        at: The sites, where `attention` does not say them: `at="skip.bottleneck"`. Or the path of a module whose result
            shall pass the blocks, `at="backbone.layer2"`; `*`, `?` and `[…]` stand for parts of a name, `layer?`.
        levels: The levels of these sites, 1 is the finest: `at="skip", levels=(1, 2)` is `at="skip1.skip2"`.
        residual: `zero` makes each site x + γ·(blocks(x) − x) with one learned γ that starts from 0, as in ReZero: a
            pretrained network then gives at first what it gave before. `none` leaves the blocks as they are.
        seed: Where the blocks' weights start from: each has a stream of its own, so that a block starts alike whatever
            else is inserted. Without a seed, one number is drawn from torch's global generator.
        channels: For a path: the width of the module's result. Or else
        example: an input of the network, a tensor or a tuple of all that it takes, that is run once to measure it.
        block_options: Options of the block, where `attention` is a single one: `groups=8`.

    Returns:
        The same model. New blocks share the device, the dtype and the mode of the layers beside them.

    Raises:
        AttnzooError: For a host unknown or furnished already, a site that it lacks, and all that a block refuses.
    """
    if at is not None and not isinstance(at, str):
        raise AttnzooError(
            f"at={at!r} is a `{type(at).__name__}`, and one word is wanted",
            'sites are joined by dots, `at="skip1.bottleneck"`, and a pattern means several modules, `at="layer[12]"`',
        )
    by_path = at is not None and _is_path(model, at)
    host = cast("Host", anywhere) if by_path else host_of(model)
    wanted = spell_out(attention, at, levels, block_options)
    _refuse_unknown_blocks(wanted)
    if residual not in get_args(Residual):
        raise AttnzooError(f"residual={residual!r} is unknown", f"possible: {listing(get_args(Residual))}")
    if seed is not None and type(seed) is not int:
        raise AttnzooError(f"seed={seed!r} is no whole number", "give one, such as seed=0, or none")
    if at is not None and by_path:
        words = FAMILIES if find_host(model) is not None else ()
        chains = _behind_modules(model, wanted, anywhere.find(model, at, channels, example, words))
    else:
        if channels is not None or example is not None:
            raise AttnzooError(
                f"the sites of `{type(model).__name__}` have known widths", "leave `channels` and `example` out"
            )
        chains = _at_sites(model, wanted, host_sites(model, host))
    refuse_idle(model)
    _refuse_gates(model, chains)
    if seed is None:
        seed = int(torch.randint(2**63 - 1, (), device="cpu"))
    built = []
    for site, wanted_here in chains:
        blocks = [(str(block), _build(model, block, site, place, seed)) for place, block in enumerate(wanted_here)]
        device, dtype = _home(model, site)
        gamma = nn.Parameter(torch.zeros(1, device=device, dtype=dtype)) if residual == "zero" else None
        built.append((site, blocks, gamma))
    move_in(model, host, built)
    return model


def _is_path(model: nn.Module, at: str) -> bool:
    """Whether this is the path of a module: no word for sites, or one that a network without sites has a module for."""
    return not names_sites(at) or (find_host(model) is None and at in dict(model.named_modules(remove_duplicate=False)))


def _at_sites(model: nn.Module, wanted: spec.Attention, known: tuple[Site, ...]) -> Chains:
    """The chain of every site of a host that gets one."""
    _refuse_filled(model, known)
    name = type(model).__name__
    for word in wanted.sites:
        if not any(spec.covers(word, site.name) for site in known):
            words = dict.fromkeys(word for site in known for word in (site.family, site.name))
            lacks_all = not any(word.startswith(site.family) for site in known)
            why = ": none of its encoder's features goes past the bottleneck" * (lacks_all and word.startswith("skip"))
            path = _OR_PATH * lacks_all
            raise AttnzooError(f"`{name}` has no site `{word}`{why}", f"it has {listing(words, last='and')}{path}")
    return [(site, blocks) for site in known if (blocks := wanted.chain_at(site.name))]


def _behind_modules(model: nn.Module, wanted: spec.Attention, found: tuple[Site, ...]) -> Chains:
    """The one chain for every module that a path means."""
    _refuse_filled(model, found)
    return [(site, placement.chain) for placement in wanted.placements for site in found]


def _refuse_filled(model: nn.Module, places: tuple[Site, ...]) -> None:
    for site in places:
        if (slot := slot_at(model, site)) is not None and slot.spellings:
            raise AttnzooError(
                f"`{site.name}` of `{type(model).__name__}` holds `{'+'.join(slot.spellings)}` already",
                "build the host anew, and furnish it once: `+` chains blocks, `/` separates sites",
            )


def _refuse_unknown_blocks(wanted: spec.Attention) -> None:
    """Refuse blocks and options that nobody has."""
    for placement in wanted.placements:
        for block in placement.chain:
            options = registry.entry(block.name).options
            for option, value in block.options:
                check(block.name, option, value, options)


def _refuse_gates(model: nn.Module, chains: Chains) -> None:
    """Refuse blocks that listen where nothing is said."""
    for site, blocks in chains:
        for block in blocks:
            listens = registry.signal(block)
            if listens is not None and listens not in site.gates:
                said = str(block) if registry.entry(block.name).wraps else block.name
                raise _unheard(said, listens, site, type(model).__name__)


def _unheard(block: str, listens: str, site: Site, name: str) -> AttnzooError:
    """Why a gated block cannot sit at a site, and where it can."""
    skips = f"place it on the skips: `{block}@skip`"
    if site.gates:
        said = f"`{block}` listens to `{listens}`, and the {site.title} of {name} offers {listing(site.gates)}"
        return AttnzooError(said, f"take a block that listens to {listing(site.gates)}")
    if not site.level:
        skips = "place it on the skips of a host, `skip`, or teach attnzoo this network's sites by `attnzoo.teach`"
        return AttnzooError(
            f"`{block}` listens to the decoder, and nobody knows it behind {site.title} of {name}", skips
        )
    if site.family == "decoder":
        return AttnzooError(f"`{block}` listens to the decoder, and the {site.title} of {name} is the decoder", skips)
    if site.family == "skip":
        skips = "no level of it hears a coarser one: take a block that does not listen"
    return AttnzooError(f"`{block}` listens to the decoder, and the {site.title} of {name} has none", skips)


def _build(model: nn.Module, block: spec.Block, site: Site, position: int, seed: int) -> nn.Module:
    """A block from its own stream, at home beside its neighbours."""
    gate = site.gates.get(registry.signal(block) or "")
    try:
        with _stream(f"{seed}/{site.name}/{position}/{block.name}"):
            built = registry.build_block(block, site.channels, gate, site.dims)
    except AttnzooError as error:
        raise AttnzooError(f"{error.message} ({site.title} of {type(model).__name__})", error.hint) from error
    device, dtype = _home(model, site)
    return built.to(device, dtype).train(model.get_submodule(site.beside).training)


def _home(model: nn.Module, site: Site) -> tuple[torch.device, torch.dtype]:
    """Device and dtype of the layers beside a site; of the network where these have no weights."""
    near = chain(model.get_submodule(site.beside).parameters(), model.parameters())
    weights = next((weight for weight in near if weight.is_floating_point()), torch.zeros((), device="cpu"))
    return weights.device, weights.dtype


@contextmanager
def _stream(name: str) -> Iterator[None]:
    """Inside, torch draws from a stream that the name alone decides, on any device; outside, nothing has happened."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) >> 1
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)
        yield
