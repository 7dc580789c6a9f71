"""How far something that takes long has come, told to whoever shows it: a bar in Prefect, or one in a terminal."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Progress = Callable[[int, int], None]  # how many are done, and of how many
Value = TypeVar("Value")


def unseen(_done: int, _whole: int) -> None:
    """Show it nowhere."""


def one(_: object) -> int:
    """Count every value as one."""
    return 1


def followed(
    values: Iterable[Value], whole: int, progress: Progress, size: Callable[[Value], int] = one, done: int = 0
) -> Iterator[Value]:
    """Yield the values, and tell when each has been worked on how many are done.

    `size` says for how many a value counts, and `done` how many were done before the first of them.
    """
    progress(done, whole)
    for value in values:
        yield value
        done += size(value)
        progress(done, whole)
