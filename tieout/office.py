"""What a step works by: the settings as it read them at its door, the clock, and in whose name it acts."""

from dataclasses import dataclass, replace

from tieout.clock import Clock
from tieout.settings import Settings


@dataclass(frozen=True)
class Office:
    """One step's settings, clock and actor; whatever it calls takes them from here or gets plain values."""

    settings: Settings
    clock: Clock
    actor: str

    def in_name_of(self, person: str) -> "Office":
        """Return the same, for what is done in a person's name."""
        return replace(self, actor=person)
