"""Where the blocks of an attention come from: what a run's identity knows of them."""

import hashlib
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions, version
from pathlib import Path

from attnzoo import spec
from attnzoo.registry.entries import ENTRIES
from attnzoo.registry.plugins import load_all, loaded


def sources(attention: str) -> dict[str, str]:
    """Where the blocks of an attention come from, nested ones too, by name; attnzoo's own are left out.

    A file's name, the SHA-256 of its bytes, and the version of the distribution that it belongs to, if any; where
    another file put the class under its name, that one's too. A block that was typed into a session has no file, and
    its module's name stands for it.
    """
    load_all()
    placements = spec.parse(attention).placements
    used = {block.name for placement in placements for block in _nested(placement.chain)}
    found = {name: ENTRIES[name].foreign for name in sorted(used & ENTRIES.keys())}
    return {name: "; ".join(map(_source, modules)) for name, modules in found.items() if modules}


def _nested(chain: tuple[spec.Block, ...]) -> Iterator[spec.Block]:
    for block in chain:
        yield block
        for _, value in block.options:
            if isinstance(value, spec.Chain):
                yield from _nested(value.blocks)


def _source(module: str) -> str:
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        return module
    plugin = loaded(Path(file))
    if plugin is not None:
        return f"{plugin.path.name} {plugin.sha256}"
    versions = [f", {home} {version(home)}" for home in sorted(_distributions(module.partition(".")[0]))]
    return f"{Path(file).name} {hashlib.sha256(Path(file).read_bytes()).hexdigest()}{''.join(versions)}"


@cache
def _distributions(package: str) -> frozenset[str]:
    """What is installed and has this package; asking takes a while."""
    return frozenset(packages_distributions().get(package, ()))
