"""What people fill in: the answer to a review, and how its free text is read."""

from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

ACCEPT_ALL = "Accept all but the rejected"
ACCEPT_LISTED = "Accept only the listed"
ONLY_REJECT = "Only reject"
Decision = Literal["Accept all but the rejected", "Accept only the listed", "Only reject"]


class ReviewAnswer(BaseModel):
    """An accounting approver's decision over the invoices that a review offers.

    No validators: one that fails would kill the run, so rules are checked later and the person is asked again.
    """

    model_config = ConfigDict(extra="forbid")

    decided_by: str = Field(title="Decided by", description="Your name, as it is in the list of approvers.")
    decision: Decision = Field(title="Decision")
    accept: str = Field(
        default="", title="Accept only these", description=f"For “{ACCEPT_LISTED}”: one invoice number a line."
    )
    reject: str = Field(
        default="",
        title="Reject",
        description="One invoice a line: its number, a colon, the reason. The project's people read the reason.",
    )

    def accepted(self) -> Literal["all"] | list[str]:
        """Return the numbers to accept, or `"all"` that are not rejected."""
        if self.decision == ACCEPT_ALL:
            return "all"
        return _lines(self.accept) if self.decision == ACCEPT_LISTED else []

    def rejected(self, numbers: Iterable[str]) -> list[tuple[str, str]]:
        """Return number and reason of each line; known numbers are tried first, for one may hold a colon."""
        known = sorted(numbers, key=len, reverse=True)
        return [_split(line, known) for line in _lines(self.reject)]

    def problems(self) -> list[str]:
        """Return what contradicts itself in the answer."""
        found = []
        if self.decision == ACCEPT_LISTED and not _lines(self.accept):
            found.append(f"“{ACCEPT_LISTED}” needs at least one invoice number to accept")
        if self.decision == ONLY_REJECT and not _lines(self.reject):
            found.append(f"“{ONLY_REJECT}” needs at least one line under Reject")
        if self.decision != ACCEPT_LISTED and _lines(self.accept):
            found.append(f"numbers to accept are listed, but the decision is “{self.decision}”")
        return found


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _split(line: str, known: list[str]) -> tuple[str, str]:
    for number in known:
        rest = line.removeprefix(number).lstrip()
        if line.startswith(number) and (not rest or rest.startswith(":")):
            return number, rest.removeprefix(":").strip()
    number, _, reason = line.partition(":")
    return number.strip(), reason.strip()
