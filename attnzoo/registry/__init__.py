"""Blocks by name. A constructor's signature is the schema: nothing is declared twice.

Our own blocks are loaded by name at the first question, and with them what installed packages offer in the entry-point
group `attnzoo.blocks`; `load_plugin` takes a file. Imports no block and no torch by itself.
"""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from attnzoo import spec
from attnzoo.errors import AttnzooError, did_you_mean, first_line, listing
from attnzoo.registry import options as _options
from attnzoo.registry.entries import ENTRIES, Entry, Signal, register
from attnzoo.registry.options import Option, check_form
from attnzoo.registry.origins import sources
from attnzoo.registry.plugins import Plugin, broken_plugins, keep_plugin, load_all, load_plugin

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "Entry",
    "Option",
    "Plugin",
    "available",
    "broken_plugins",
    "build",
    "build_block",
    "build_within",
    "check_form",
    "entry",
    "keep_plugin",
    "load_plugin",
    "register",
    "signal",
    "sources",
    "within",
]


def available() -> tuple[str, ...]:
    """The names of all registered blocks, sorted."""
    load_all()
    return tuple(sorted(ENTRIES))


def entry(name: str) -> Entry:
    """What is known of a block.

    Raises:
        AttnzooError: For a name that is not registered.
    """
    names = available()
    if (known := ENTRIES.get(name)) is None:
        lost = "".join(f"; the plugin `{plugin}` is broken: {why}" for plugin, why in broken_plugins().items())
        hint = (
            did_you_mean(name.lower(), names)
            or f"blocks are {listing(names, last='and')}; `--plugin FILE` adds your own"
        )
        raise AttnzooError(f"`{name}` is no block{lost}", hint)
    return known


def signal(block: spec.Block) -> Signal | None:
    """Which of the decoder's signals a block must know: the one that it hears, or that the block within it hears."""
    known = entry(block.name)
    if known.wraps is None:
        return known.listens
    wrapped = dict(block.options).get(known.wraps, known.options[known.wraps].default)
    inside = wrapped.blocks if isinstance(wrapped, spec.Chain) else ()
    with within(block.name):
        return next((heard for inner in inside if (heard := signal(inner))), None)


def build(
    name: str, channels: int, *, gate_channels: int | None = None, dims: int = 2, **options: spec.Value
) -> "nn.Module":
    """Build a block, with fresh weights from torch's global generator.

    Args:
        name: One of `available()`.
        channels: Width of the skip.
        gate_channels: Width of the decoder's signal; needed by gated blocks, not heard by the others.
        dims: Spatial dimensions of the maps, 2 or 3.
        options: The block's own; what is not said has the paper's value.

    Raises:
        AttnzooError: For an unknown name or option, and for a value or width that the block cannot take; whatever else
            its constructor raises is the cause of one, too.
    """
    return build_block(spec.Block(entry(name).name, tuple(options.items())), channels, gate_channels, dims)


def build_block(block: spec.Block, channels: int, gate_channels: int | None = None, dims: int = 2) -> "nn.Module":
    """Build what was spelt; as `build`."""
    known = entry(block.name)
    said = dict(block.options)
    for option, value in said.items():
        _options.check(block.name, option, value, known.options)
    widths = {"channels": channels, "gate_channels": gate_channels} if known.gated else {"channels": channels}
    check_form(block.name, dims, possible=known.dims, why=known.only_2d, **widths)
    given = (channels, gate_channels) if known.gated or known.wraps else (channels,)
    spatial = {"dims": dims} if "dims" in inspect.signature(known.cls).parameters else {}
    try:
        module: nn.Module = known.cls(*given, **said, **spatial)
    except AttnzooError:
        raise
    except Exception as error:  # a block of somebody's own can fail in any way, and torch finds no memory for any block
        raise AttnzooError(
            f"`{block}` cannot be built: {first_line(error)}", "take other options or another width, or mend the block"
        ) from error
    return module


def build_within(
    wrapper: str, chain: spec.Chain, channels: int, gate_channels: int | None = None, dims: int = 2
) -> "nn.Module":
    """Build the one block that a wrapper holds; what is refused of it names both.

    Raises:
        AttnzooError: For a chain of several, and for all that the block itself refuses.
    """
    if len(chain.blocks) != 1:
        chained = "+".join(f"{wrapper}:{entry(wrapper).wraps}=[{block}]" for block in chain.blocks)
        raise AttnzooError(f"`{wrapper}` cannot wrap `{chain}`, which is a chain", f"chain the wrappers: `{chained}`")
    with within(wrapper):
        return build_block(chain.blocks[0], channels, gate_channels, dims)


@contextmanager
def within(wrapper: str, what: str = "be built") -> Iterator[None]:
    """Say in which wrapper a block refuses something."""
    try:
        yield
    except AttnzooError as error:
        raise AttnzooError(f"`{wrapper}` cannot {what}, since {error.message}", error.hint) from error
