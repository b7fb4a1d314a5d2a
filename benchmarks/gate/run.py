"""The gate's two passes over the list: every benchmark once, and what looked slower again, in fresh processes."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol

from .verdict import Verdict, compare


class UnfinishedError(Exception):
    """What was built and warmed up failed when it was timed: at which side, and why."""


class Timed(Protocol):
    """What the gate asks of a side; `Side` in earnest. Timing raises `UnfinishedError` where the benchmark fails.

    `gone` is whether a benchmark took the process along, so that there is nobody to be asked for the next one.
    """

    names: list[str]
    required: list[str]
    gone: bool

    def build(self, name: str) -> tuple[float, str | None]: ...

    def time(self, samples: int, repeat: int) -> list[float]: ...


Opened = Callable[[], AbstractContextManager[tuple[Timed, Timed]]]
"""Starts base and head anew: chance places code and memory, so a second pass needs other processes than the first."""
Living = Callable[[], tuple[Timed, Timed]]


@dataclass(frozen=True)
class Row:
    """A benchmark: what the passes found, in a word, and in a sentence what fails the gate, if anything does."""

    name: str
    word: str
    first: Verdict | None = None
    second: Verdict | None = None
    failure: str | None = None


@dataclass(frozen=True)
class Report:
    """All rows, what is wrong with the list itself, and whether all of the list was timed."""

    rows: tuple[Row, ...]
    list_failures: tuple[str, ...]
    complete: bool

    @property
    def failures(self) -> tuple[str, ...]:
        return (*self.list_failures, *(row.failure for row in self.rows if row.failure is not None))


def gate(
    opened: Opened,
    before: Sequence[str],
    say: Callable[[str], None],
    wanted: Callable[[str], bool] = lambda name: True,
) -> Report:
    """Compare head with base.

    Args:
        opened: Starts both sides; head's benchmarks run in both.
        before: The names in base's own list.
        say: Hears what is being timed.
        wanted: Whether a name is to be timed; the list is checked as a whole in any case.
    """
    with _living(opened) as sides:
        _, head = sides()
        wrong = list_failures(before, head.names, head.required)
        chosen = [name for name in head.names if wanted(name)]
        rows = []
        for place, name in enumerate(chosen, 1):
            say(f"{place} of {len(chosen)}: {name}")
            rows.append(_first(name, *sides(), name in before))
    suspects = [row.name for row in rows if row.first is not None and row.first.slower]
    confirmed: dict[str, Row] = {}
    if suspects:
        with _living(opened) as sides:
            for place, row in enumerate([row for row in rows if row.name in suspects], 1):
                say(f"again, {place} of {len(suspects)}: {row.name}")
                confirmed[row.name] = _second(row, *sides())
    return Report(
        tuple(confirmed.get(row.name, row) for row in rows), tuple(wrong), complete=len(chosen) == len(head.names)
    )


@contextmanager
def _living(opened: Opened) -> Iterator[Living]:
    """Gives base and head: those of the question before, or both anew where its benchmark took one of them along."""
    with ExitStack() as stack:
        pair = stack.enter_context(opened())

        def sides() -> tuple[Timed, Timed]:
            nonlocal pair
            if any(side.gone for side in pair):
                stack.close()
                pair = stack.enter_context(opened())
            return pair

        yield sides


def list_failures(before: Sequence[str], now: Sequence[str], required: Sequence[str]) -> list[str]:
    """What is missing in head's list: names of base's, and what is registered at head."""
    gone = [f"`{name}` is in base's list and not in head's: it is missing or renamed" for name in _less(before, now)]
    unmeasured = [f"`{name}` is not in head's list, although attnzoo has it" for name in _less(required, now)]
    twice = [f"`{name}` is twice in head's list" for name in dict.fromkeys(now) if now.count(name) > 1]
    return gone + unmeasured + twice


def _less(these: Sequence[str], those: Sequence[str]) -> list[str]:
    return [name for name in dict.fromkeys(these) if name not in set(those)]


def _first(name: str, base: Timed, head: Timed, known: bool) -> Row:
    (seconds, base_error), (head_seconds, head_error) = base.build(name), head.build(name)
    if head_error is not None:  # at base too, perhaps: both run head's definition, which may be what is broken
        where = "at head" if base_error is None else "on either side"
        return Row(name, "broken", failure=f"`{name}` cannot be timed {where}: {head_error}")
    if base_error is not None and known:
        return Row(name, "no base", failure=f"`{name}` cannot be timed at base: {base_error}")
    if base_error is not None:
        return Row(name, "new")
    try:
        found = compare(base.time, head.time, max(seconds, head_seconds, 1e-9))
    except UnfinishedError as error:
        return Row(name, "broken", failure=f"`{name}` could not be timed to the end {error}")
    return Row(name, _word(found), found)


def _second(row: Row, base: Timed, head: Timed) -> Row:
    """The other way round: what favours the side that comes first now favours the other."""
    (head_seconds, head_error), (seconds, base_error) = head.build(row.name), base.build(row.name)
    if (error := head_error or base_error) is not None:
        return Row(
            row.name, "broken", row.first, failure=f"`{row.name}` could be timed once, and not a second time: {error}"
        )
    try:
        found = compare(base.time, head.time, max(seconds, head_seconds, 1e-9), head_first=True)
    except UnfinishedError as error:
        return Row(row.name, "broken", row.first, failure=f"`{row.name}` could not be timed to the end {error}")
    if not found.slower:
        return Row(row.name, "not confirmed", row.first, found)
    first = row.first.ratio if row.first is not None else found.ratio
    failure = f"`{row.name}` is slower than at base: {first:.3f}× in the first pass, {found.ratio:.3f}× in the second"
    return Row(row.name, "slower", row.first, found, failure)


def _word(found: Verdict) -> str:
    if found.slower:
        return "slower?"
    return "faster" if found.faster else "same" if found.decided else "same, in noise"
