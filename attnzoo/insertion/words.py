"""What was asked, read before anything is built: which blocks, at which sites or modules."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from attnzoo import spec
from attnzoo.errors import AttnzooError, listing
from attnzoo.spec.attention import FAMILIES

_SITE = re.compile(rf"\s*(?:{'|'.join(FAMILIES)})\d*\s*")


def names_sites(at: str) -> bool:
    """Whether these are words for sites, `skip1.bottleneck`; all else is the path of a module."""
    return not at or all(_SITE.fullmatch(word) for word in at.split("."))


def spell_out(
    attention: str | spec.Attention,
    at: str | None,
    levels: int | Sequence[int] | None,
    block_options: Mapping[str, spec.Value],
) -> spec.Attention:
    """The attention with what the keywords say written into it; a module's path is not."""
    if not isinstance(attention, str | spec.Attention):
        raise AttnzooError(
            f"attention is spelt, not given as a `{type(attention).__name__}`", "write it as in `ema:groups=8+gate`"
        )
    wanted = spec.parse(attention) if isinstance(attention, str) else attention
    if block_options:
        wanted = _with_options(wanted, block_options)
    for keyword, value in (("at", at), ("levels", levels)):
        if value is not None and "@" in (said := str(attention)):
            raise AttnzooError(
                f"`{said}` says where it sits, and {keyword}=`{value}` says it again", "leave one of them out"
            )
    if levels is not None:
        at = _with_levels(at or "skip", levels if isinstance(levels, Iterable) else [levels])
    return wanted if at is None or not names_sites(at) else spec.parse(f"{wanted}@{at}")


def _with_options(wanted: spec.Attention, block_options: Mapping[str, spec.Value]) -> spec.Attention:
    """The attention, whose one block has these options too."""
    blocks = [block for placement in wanted.placements for block in placement.chain]
    if len(blocks) != 1:
        raise AttnzooError(
            f"{listing(block_options, last='and')} could go to any block of `{wanted}`"
            if blocks
            else f"`none` has no block that could take {listing(block_options, last='and')}",
            "keywords are for a single block: write options into the spelling, as in `ema:groups=8+gate`",
        )
    block = replace(blocks[0], options=(*blocks[0].options, *block_options.items()))
    return spec.Attention((replace(wanted.placements[0], chain=(block,)),))


def _with_levels(at: str, levels: Iterable[int]) -> str:
    """The site words, each family with every level: `skip` at 1 and 2 is `skip1.skip2`."""
    if not names_sites(at):
        raise AttnzooError(f"levels are of sites, and `{at}` is the path of a module", "leave `levels` out")
    numbers = list(levels)
    if not numbers or any(type(level) is not int or level < 1 for level in numbers):
        raise AttnzooError(f"levels={levels!r} are no levels of `{at}`", "give whole numbers, as in `levels=(1, 2)`")
    words = [word.strip() for word in at.split(".")]
    if said := [word for word in words if word[-1:].isdigit()]:
        raise AttnzooError(f"`{said[0]}` names its level, and levels={levels!r} names more", "leave one of them out")
    families = [word for word in words if word != "bottleneck"]
    if not families:
        raise AttnzooError("the `bottleneck` has no levels", "leave `levels` out")
    return ".".join(
        [
            *(f"{word}{level}" for word in families for level in numbers),
            *(word for word in words if word not in families),
        ]
    )
