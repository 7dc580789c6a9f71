"""What came of a person's request, invoice by invoice."""

from dataclasses import dataclass

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
