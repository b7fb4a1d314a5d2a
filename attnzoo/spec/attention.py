"""Attention as frozen records, each with its one canonical spelling."""

import hashlib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias, Union

from attnzoo.errors import AttnzooError, did_you_mean

Value: TypeAlias = Union[int, float, bool, str, tuple["Value", ...], "Chain", None]

# In the order of the network: a placement's sites are written so; among placements the skips come first.
FAMILIES = ("encoder", "skip", "bottleneck", "decoder")
_LEADING = ("skip", "encoder", "bottleneck", "decoder")
_SITE = re.compile(r"(skip|encoder|decoder)([1-9][0-9]?)?|(bottleneck)")
VALUES = "values are numbers, words, quoted texts, `(1,2)` and `[blocks]`"
SITES = "sites are `skip`, `encoder` and `decoder`, alone or with a level as in `skip1`, and `bottleneck`"
BOUND = 2**63  # torch's integers have 64 bits
INTEGERS = f"integers are {-BOUND} to {BOUND - 1}"
WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
LITERALS = {"True": True, "False": False, "None": None}
# What no file system refuses in a name; and no capitals, since some cannot tell them from small letters.
_FOLDER_SAFE = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-.+@=,[]()")
_FOLDER_BYTES = 200


class _Spelt:
    """Equal when spelt alike; a dataclass's own equality would take 1, 1.0 and True for one value."""

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and str(other) == str(self)

    def __hash__(self) -> int:
        return hash((type(self), str(self)))


@dataclass(frozen=True, eq=False)
class Block(_Spelt):
    """A block's name and the options that were said, sorted by name."""

    name: str
    options: tuple[tuple[str, Value], ...] = ()

    def __post_init__(self) -> None:
        names = [name for name, _ in self.options]
        for name in (self.name, *names):
            if not spellable(name):
                raise AttnzooError(f"`{name}` cannot be a name", "names are letters, digits and `_`, not `none`")
        if twice := [name for name in names if names.count(name) > 1]:
            raise AttnzooError(f"`{self.name}` has the option `{twice[0]}` twice", "say it once")
        object.__setattr__(self, "options", tuple(sorted(self.options, key=lambda option: option[0])))
        str(self)  # refuses values that cannot be spelt

    def __str__(self) -> str:
        return self.name + "".join(f":{name}={spell(value)}" for name, value in self.options)


@dataclass(frozen=True, eq=False)
class Chain(_Spelt):
    """A chain of blocks as the value of an option: `[ema:groups=8+se]`."""

    blocks: tuple[Block, ...]

    def __str__(self) -> str:
        return f"[{_spell_chain(self.blocks)}]"


@dataclass(frozen=True, eq=False)
class Placement(_Spelt):
    """A chain, applied left to right, at one or more sites, sorted from the encoder to the decoder."""

    chain: tuple[Block, ...]
    sites: tuple[str, ...] = ("skip",)

    def __post_init__(self) -> None:
        if not self.chain or not self.sites:
            raise AttnzooError("a placement needs a block and a site", "an attention without placements is `none`")
        object.__setattr__(self, "sites", tuple(sorted(self.sites, key=site_order)))

    def __str__(self) -> str:
        return f"{_spell_chain(self.chain)}@{'.'.join(self.sites)}"


@dataclass(frozen=True, eq=False)
class Attention(_Spelt):
    """Which blocks sit where. Without placements it is `none`, and false. `str()` is its one canonical spelling."""

    placements: tuple[Placement, ...] = ()

    def __post_init__(self) -> None:
        _refuse_overlaps([site for placement in self.placements for site in placement.sites])
        merged: dict[tuple[Block, ...], tuple[str, ...]] = {}
        for placement in self.placements:
            merged[placement.chain] = merged.get(placement.chain, ()) + placement.sites
        placements = [Placement(chain, sites) for chain, sites in merged.items()]
        placements.sort(key=lambda placement: site_order(placement.sites[0], _LEADING))
        object.__setattr__(self, "placements", tuple(placements))

    def __bool__(self) -> bool:
        return bool(self.placements)

    def __str__(self) -> str:
        if not self.placements:
            return "none"
        if [placement.sites for placement in self.placements] == [("skip",)]:
            return _spell_chain(self.placements[0].chain)
        return "/".join(map(str, self.placements))

    @property
    def folder(self) -> str:
        """The spelling as a folder's name of at most 200 bytes, distinct on any file system.

        `urllib.parse.unquote` gives the spelling back, unless it was too long: then a `~` and a digest end the name.
        """
        spelling = str(self)
        name = "".join(
            character if character in _FOLDER_SAFE else "".join(f"%{byte:02X}" for byte in character.encode())
            for character in spelling
        )
        if len(name) <= _FOLDER_BYTES:
            return name
        digest = "~" + hashlib.sha256(spelling.encode()).hexdigest()[:32]
        return name[: _FOLDER_BYTES - len(digest)] + digest

    @property
    def sites(self) -> tuple[str, ...]:
        """All site words, in the order of the network."""
        return tuple(sorted((site for placement in self.placements for site in placement.sites), key=site_order))

    def chain_at(self, site: str) -> tuple[Block, ...]:
        """The blocks at one site of a network (`skip2`, `bottleneck`), which may be none."""
        for placement in self.placements:
            if any(covers(word, site) for word in placement.sites):
                return placement.chain
        return ()


def spell(value: Value) -> str:
    """The canonical spelling of an option's value."""
    if isinstance(value, tuple):
        return f"({','.join(map(spell, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, Chain):
        return str(value)
    if isinstance(value, str):
        return value if WORD.fullmatch(value) and value not in LITERALS else repr(value)
    if type(value) is int and not -BOUND <= value < BOUND:
        raise AttnzooError(f"an integer of {value.bit_length()} bits cannot be spelt as a value", INTEGERS)
    if type(value) in (int, bool, type(None)) or (type(value) is float and math.isfinite(value)):
        return repr(value)
    raise AttnzooError(f"`{value}` cannot be spelt as a value", VALUES)


def spellable(name: str) -> bool:
    """Whether a block or an option can be called so."""
    return WORD.fullmatch(name) is not None and name != "none"


def covers(word: str, site: str) -> bool:
    """Whether a site word means this site: `skip` means `skip2`, and `skip2` itself does."""
    return word == site or word == site.rstrip("0123456789")


def _spell_chain(blocks: Iterable[Block]) -> str:
    return "+".join(map(str, blocks))


def site_order(word: str, families: tuple[str, ...] = FAMILIES) -> tuple[int, int]:
    """The sorting key of a site: its part of the network, then its level; the word without a level first."""
    if (match := _SITE.fullmatch(word)) is None:
        raise AttnzooError(f"`{word}` is no site", _site_hint(word))
    return families.index(match[1] or match[3]), int(match[2] or 0)


def _site_hint(word: str) -> str:
    family = word.rstrip("0123456789")
    if family == "bottleneck":
        return "there is one `bottleneck`, and it has no level"
    if family in FAMILIES:
        return f"levels count from 1, the finest: `{family}1`"
    return did_you_mean(word, FAMILIES) or SITES


def _refuse_overlaps(sites: list[str]) -> None:
    for position, site in enumerate(sites):
        for other in sites[:position]:
            if site == other:
                raise AttnzooError(f"`{site}` is named twice", "join what sits at one site by `+`")
            if covers(site, other) or covers(other, site):
                whole, level = sorted((site, other), key=len)
                raise AttnzooError(f"`{whole}` means every level, `{level}` among them", "name each level, or none")
