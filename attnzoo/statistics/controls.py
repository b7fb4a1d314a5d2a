"""Which arm is whose control, by spelling: `matched:block=[ema]@skip2` is to `ema@skip2` what capacity alone brings.

The spelling is read as a string, brackets kept whole, because statistics know no blocks. In a chain every block has its
own control, as in `matched:block=[ema]+matched:block=[gate]`.
"""

import re
from typing import Literal

Kind = Literal["matched", "frozen"]
KINDS: tuple[Kind, ...] = ("matched", "frozen")
_ARM = re.compile(r"[A-Za-z_][^\s]*")


def control(arm: str, kind: Kind) -> str:
    """The spelling of an arm's control; empty for `none`, for a control, and for what is no spelling."""
    if arm == "none" or not _ARM.fullmatch(arm) or any(f"{name}:block=[" in arm for name in KINDS):
        return ""
    placements = []
    for placement in _split(arm, "/"):
        chain, *sites = _split(placement, "@")
        blocks = "+".join(f"{kind}:block=[{block}]" for block in _split(chain, "+"))
        placements.append("@".join([blocks, *sites]))
    return "/".join(placements)


def _split(text: str, separator: str) -> list[str]:
    """Split where no bracket, parenthesis or quotation is open."""
    parts, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        else:
            depth += (character in "[(") - (character in "])")
        if character == separator and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return parts
