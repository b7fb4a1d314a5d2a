"""The spelling of attention, `ema:groups=8+gate@skip/ema@bottleneck`, and back. Pure strings, no torch.

`:` starts an option, `+` continues a chain, `@` names the sites where it sits (`skip` if unsaid), `.` unites sites,
`/` separates placements, `[…]` nests a chain as a value, and `,` separates arms. Values are Python literals or bare
words. Which blocks exist is the registry's matter.
"""

from attnzoo.spec.attention import Attention, Block, Chain, Placement, Value, covers, spell, spellable
from attnzoo.spec.reader import parse, parse_arms, parse_block, parse_blocks

__all__ = [
    "Attention",
    "Block",
    "Chain",
    "Placement",
    "Value",
    "covers",
    "parse",
    "parse_arms",
    "parse_block",
    "parse_blocks",
    "spell",
    "spellable",
]
