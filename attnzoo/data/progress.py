"""Progress bars on stderr, for work that takes longer than a moment."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar("Item")


def track(items: Iterable[Item], description: str, *, total: int, show: bool) -> Iterator[Item]:
    """Yield the items; where `show` is set and stderr is a terminal, a bar stands there while it lasts."""
    console = Console(stderr=True)
    if not (show and console.is_terminal):  # even a disabled bar ends with a newline
        yield from items
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        yield from bar.track(items, total=total, description=description)
