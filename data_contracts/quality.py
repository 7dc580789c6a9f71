"""What came of judging on one day: how many invoices were judged, and which of them broke what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

Broken = tuple[str, str]  # a rule, and which of its figures was not as it must be


@dataclass(frozen=True, slots=True)
class Day:
    """All that was judged on a day; an invoice counts once, however often it was judged."""

    on: date  # in the company's time zone
    last_at: datetime  # when something was judged last
    judged: int
    severities: Mapping[str, str]  # of the rules that there were
    broken: Mapping[Broken, Mapping[int, str]] = field(default_factory=dict)  # which invoices: Procore id, name

    def count(self, rule: str) -> int | None:
        """Return how many invoices broke the rule; None where there was no such rule."""
        if rule not in self.severities:
            return None
        return len({invoice for (broken, _), names in self.broken.items() if broken == rule for invoice in names})
