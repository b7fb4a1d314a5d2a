"""The reader: a text becomes an attention, or a message that says where it went wrong and what was possible there."""

import ast
import math
import re
import warnings
from collections.abc import Callable
from typing import Never, TypeVar

from attnzoo.errors import AttnzooError
from attnzoo.spec.attention import (
    BOUND,
    INTEGERS,
    LITERALS,
    SITES,
    VALUES,
    WORD,
    Attention,
    Block,
    Chain,
    Placement,
    Value,
    site_order,
)

Item = TypeVar("Item")

_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_PLAIN = re.compile(r"[-+]?(?:[0-9][0-9_.]*[eE][-+]?[0-9]+|[A-Za-z0-9_.]+)")
_DEEPEST = 32
_COMMA = "`,` separates arms, and only one is wanted here"
_MARKS = "`:` starts an option, `+` the next block, `@` the sites, `/` another placement"


def parse(text: str) -> Attention:
    """Read one attention.

    Raises:
        AttnzooError: With the place of the mistake, what is possible there, and a hint.
    """
    return _Reader(text).whole(_Reader.attention)


def parse_arms(text: str) -> tuple[Attention, ...]:
    """Read attentions separated by commas, `ema,gate`; the same attention twice is refused."""
    arms = _Reader(text).whole(lambda reader: reader.separated(_Reader.attention, ","))
    if twice := [arm for arm in arms if arms.count(arm) > 1]:
        raise AttnzooError(f"`{twice[0]}` is among the arms twice", "every arm is another attention")
    return tuple(arms)


def parse_block(text: str) -> Block:
    """Read one block with its options, `ema:groups=8`: no chain, no site."""
    return _Reader(text).whole(_Reader.block)


def parse_blocks(text: str) -> tuple[Block, ...]:
    """Read blocks separated by commas, `ema:groups=8,se`."""
    return tuple(_Reader(text).whole(lambda reader: reader.separated(_Reader.block, ",")))


class _Reader:
    """A cursor over the text; each method reads one thing of the grammar and leaves the cursor behind it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.depth = 0

    def whole(self, read: Callable[["_Reader"], Item]) -> Item:
        if not self.text.strip():
            raise AttnzooError("the spelling is empty", "`none` is a network without attention")
        item = read(self)
        if self.peek():
            self.fail("the end", _COMMA if self.peek() == "," else _MARKS)
        return item

    def attention(self) -> Attention:
        self.peek()
        if (word := WORD.match(self.text, self.position)) and word[0] == "none":
            self.position = word.end()
            if self.peek() in ("", ","):
                return Attention()
            self.alone()
        return Attention(tuple(self.separated(_Reader.placement, "/")))

    def placement(self) -> Placement:
        chain = tuple(self.separated(_Reader.block, "+"))
        return Placement(chain, tuple(self.separated(_Reader.site, "."))) if self.accept("@") else Placement(chain)

    def block(self) -> Block:
        name = self.word("a block's name")
        if name == "none":
            self.alone()
        options = []
        while self.accept(":"):
            option = self.word("an option's name")
            if not self.accept("="):
                self.fail("`=`", f"options are written `{option}=value`")
            options.append((option, self.value()))
        return Block(name, tuple(options))

    def site(self) -> str:
        word = self.word("a site", SITES)
        site_order(word)
        return word

    def value(self) -> Value:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise AttnzooError(f"a value is nested deeper than {_DEEPEST} brackets", "say it with fewer brackets")
        value = self.chain() if self.peek() == "[" else self.several() if self.peek() == "(" else self.literal()
        self.depth -= 1
        return value

    def chain(self) -> Chain:
        self.accept("[")
        blocks = self.separated(_Reader.block, "+")
        if not self.accept("]"):
            self.fail("`]`", "a nested chain is written `[ema+se]`, without sites")
        return Chain(tuple(blocks))

    def several(self) -> Value:
        """A tuple; as in Python, parentheses around one value without a comma are only parentheses."""
        self.accept("(")
        values: list[Value] = []
        comma = True
        while comma and self.peek() != ")":
            values.append(self.value())
            comma = self.accept(",")
        if not self.accept(")"):
            self.fail("`,` or `)`", "a tuple is written `(1,2)`")
        return values[0] if len(values) == 1 and not comma else tuple(values)

    def literal(self) -> Value:
        found = self.peek()
        match = (_QUOTED if found in ("'", '"') else _PLAIN).match(self.text, self.position)
        if match is None:
            if found in ("'", '"'):
                self.fail(f"a text that ends with `{found}`", "close the quotes")
            self.fail("a value", VALUES)
        self.position = match.end()
        if WORD.fullmatch(match[0]):
            return LITERALS.get(match[0], match[0])
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # Python only warns of an unknown escape
                value = ast.literal_eval(match[0])
        except (ValueError, SyntaxError, Warning):
            value = ...
        if not isinstance(value, int | float | str) or value in (math.inf, -math.inf):
            raise AttnzooError(f"`{match[0]}` is neither a word nor a number", "put texts in quotes")
        if isinstance(value, int) and not -BOUND <= value < BOUND:
            raise AttnzooError(f"`{match[0]}` has more than 64 bits", INTEGERS)
        return value

    def word(self, what: str, hint: str | None = None) -> str:
        self.peek()
        match = WORD.match(self.text, self.position)
        if match is None:
            self.fail(what, hint)
        self.position = match.end()
        return match[0]

    def separated(self, read: Callable[["_Reader"], Item], mark: str) -> list[Item]:
        items = [read(self)]
        while self.accept(mark):
            items.append(read(self))
        return items

    def peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while self.text[self.position : self.position + 1].isspace():
            self.position += 1
        return self.text[self.position : self.position + 1]

    def accept(self, mark: str) -> bool:
        found = self.peek() == mark
        self.position += found
        return found

    def alone(self) -> Never:
        raise AttnzooError(f"`none` stands alone, not in `{self.text.strip()}`", "leave `none` out")

    def fail(self, expected: str, hint: str | None = None) -> Never:
        found = self.peek()
        place = f"has `{found}` at character {self.position + 1}" if found else "ends"
        raise AttnzooError(f"`{self.text}` {place} where {expected} should come", hint)
