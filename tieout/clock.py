"""The one clock, and waits by it: a clock that was ahead must not hold anything up for ever."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]


def lasts(until: datetime, now: datetime, whole: timedelta) -> bool:
    """Whether a wait, `whole` long when it began, still lasts.

    Clocks differ a little; but one that would last twice as long as it is was begun by a clock that was ahead.
    """
    return now < until <= now + 2 * whole


def first_look(noted: datetime | None, now: datetime) -> datetime:
    """Return when the first of two looks was; one that lies ahead is none, so that this one is the first."""
    return noted if noted and noted <= now else now


def is_held(lease_until: datetime | None, now: datetime, lease: timedelta, deadline: timedelta) -> bool:
    """Whether a lease keeps others away: it does until it is over and the longest request, `deadline`, as well."""
    return lease_until is not None and lasts(lease_until + deadline, now, lease + deadline)


def now() -> datetime:
    """Return this moment; the one clock that steps hand to the engine."""
    return datetime.now(UTC)
