"""The one exception for users' mistakes, and the words that its hints are made of."""

import difflib
from collections.abc import Iterable


class AttnzooError(Exception):
    """A mistake that a user can mend.

    Args:
        message: One sentence: who (the word that was typed), what was given, what is possible; values in backticks.
        hint: What to do about it, if that can be said.

    The command line prints `error: message` and `hint: hint` on stderr and ends with exit code 2.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\nhint: {self.hint}"


def first_line(error: BaseException) -> str:
    """The first line of somebody else's error, to be quoted in a message of ours; its type where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def did_you_mean(word: str, candidates: Iterable[str]) -> str | None:
    """The hint for a mistyped word: the nearest candidate, or None where none is near."""
    near = difflib.get_close_matches(word, list(candidates), n=1, cutoff=0.5)
    return f"did you mean `{near[0]}`?" if near else None


def listing(words: Iterable[object], *, last: str = "or") -> str:
    """Words in backticks as a reader would list them: `a`, `b` or `c`."""
    quoted = [f"`{word}`" for word in words]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} {last} {quoted[-1]}" if quoted else "nothing"


def divisors(number: int) -> list[int]:
    """All divisors of a positive number, ascending."""
    return [candidate for candidate in range(1, number + 1) if number % candidate == 0]
