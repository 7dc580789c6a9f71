"""What the result of a step says in the report of its run."""

from collections.abc import Sequence
from dataclasses import dataclass

Figure = tuple[str, int]  # a name and how many


class Result:
    """The result of a step; what a kind of result has nothing to say of stays empty."""

    @property
    def notes(self) -> Sequence[str]:
        """What is worth knowing and makes no run red."""
        return ()

    @property
    def figures(self) -> Sequence[Figure]:
        """How many invoices, payments or mails went where."""
        return ()

    @property
    def refused(self) -> Sequence[str]:
        """What a person asked for and was not done, with the reason."""
        return ()

    @property
    def alarms(self) -> Sequence[str]:
        """What is wrong that no single run would notice."""
        return ()


@dataclass(frozen=True)
class Told(Result):
    """The result of a step that has only words and figures for the report."""

    notes: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    alarms: tuple[str, ...] = ()
