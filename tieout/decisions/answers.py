"""What came of a person's request, invoice by invoice."""

from dataclasses import dataclass

from tieout.results import Figure, Result

REFUSED = "refused"


@dataclass(frozen=True)
class Answer:
    """What came of sending one invoice."""

    invoice_id: int
    number: str
    outcome: str
    reason: str

    @property
    def is_done(self) -> bool:
        """Whether what was asked for happened; an invoice that is Held was sent, and a check stopped it."""
        return self.outcome != REFUSED


@dataclass(frozen=True)
class Answers(Result):
    """What came of each invoice of which a person asked for the same."""

    deed: str  # in the past: sent, retrieved
    answers: tuple[Answer, ...] = ()

    def invoice_ids(self, outcome: str) -> list[int]:
        """Return the invoices with this outcome."""
        return [each.invoice_id for each in self.answers if each.outcome == outcome]

    @property
    def notes(self) -> list[str]:
        """What stopped or warned of those that were done."""
        told = [each for each in self.answers if each.is_done and each.reason]
        return [f"{each.number} {each.outcome}: {each.reason}" for each in told]

    @property
    def figures(self) -> list[Figure]:
        """How many were done."""
        return [(self.deed, sum(each.is_done for each in self.answers))]

    @property
    def refused(self) -> list[str]:
        """Which ones were not done, and why."""
        return [f"{each.number}: {each.reason}" for each in self.answers if not each.is_done]
