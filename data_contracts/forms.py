"""What people fill in: the answer to a review, and how its free text is read."""

import re
from collections.abc import Iterable
from enum import Enum
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema


class All(Enum):
    """What is accepted by an approver who names no invoice: whatever is not rejected."""

    ALL = "all"


ALL: Final = All.ALL
ADOPT, DISOWN = "adopt", "disown"
APPLY, LEAVE = "apply", "leave"
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def _writable(typed: Any) -> Any:
    """Put the sign for an unknown character where no database or message takes what was typed or pasted.

    Half of a surrogate pair is no character, a control character shows nothing, and PostgreSQL keeps no zero byte.
    """
    return _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", typed) if isinstance(typed, str) else typed


Words = Annotated[str, BeforeValidator(_writable)]  # what a person types into a field of any form


class Answer(BaseModel):
    """What every form asks: who answers.

    No validator that can fail: it would kill the run, so rules are checked later and the person is asked again.
    No choices either: a drop-down of Prefect 3.8 opens by its small arrow and by keyboard only, and one that has a
    single choice is shown as a constant, empty and locked, so that the form could not be submitted.
    """

    model_config = ConfigDict(extra="forbid")

    decided_by: Words = Field(title="Decided by", description="Your name, as the settings list it.")
    code: SkipJsonSchema[Words] = Field(default="", repr=False)  # shown where a name alone is no proof


class ReviewAnswer(Answer):
    """An accounting approver's decision over the invoices that a review offers."""

    accept: Words = Field(
        default="",
        title="Accept",
        description=f"**{ALL.value}** accepts all that you do not reject; otherwise write one invoice number a line.",
    )
    reject: Words = Field(
        default="",
        title="Reject",
        description="One invoice a line: its number, a colon, the reason. The project's people read the reason.",
    )

    def accepted(self) -> list[str] | All:
        """Return the numbers to accept, or all that are not rejected."""
        lines = _lines(self.accept)
        return ALL if [line.casefold() for line in lines] == [ALL.value] else lines

    def rejected(self, numbers: Iterable[str]) -> list[tuple[str, str]]:
        """Return number and reason of each line; known numbers are tried first, for one may hold a colon."""
        known = sorted(numbers, key=len, reverse=True)
        return [_split(line, known) for line in _lines(self.reject)]

    def problems(self) -> list[str]:
        """Return what makes the answer none."""
        if _lines(self.accept) or _lines(self.reject):
            return []
        return [f"nothing is accepted or rejected; write “{ALL.value}” under Accept to accept all"]


class SettleAnswer(Answer):
    """An approver's word on what the ERP shows of an invoice whose answer was lost."""

    decision: Words = Field(
        title="Decision",
        description=f"**{ADOPT}**: it is this invoice, as it is in the ERP. **{DISOWN}**: it is not.",
    )
    document: Words = Field(
        default="",
        title="Document",
        description="Which one to adopt, where there are several: its number from the head of the table.",
    )
    reason: Words = Field(default="", title="Reason", description="What you compared; kept with the invoice.")

    def stripped(self) -> "SettleAnswer":
        """Return it without the blanks around its words, the decision in small letters."""
        words = {name: value.strip() for name, value in self.model_dump().items()}
        return SettleAnswer(**words | {"decision": words["decision"].casefold()})


class RefreshAnswer(Answer):
    """An approver's word on whether what Procore shows of an invoice now is taken over."""

    decision: Words = Field(
        title="Decision",
        description=f"**{APPLY}**: take over what Procore shows now. **{LEAVE}**: leave it as it is.",
    )


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _split(line: str, known: list[str]) -> tuple[str, str]:
    for number in known:
        rest = line.removeprefix(number).lstrip()
        if line.startswith(number) and (not rest or rest.startswith(":")):
            return number, rest.removeprefix(":").strip()
    number, _, reason = line.partition(":")
    return number.strip(), reason.strip()
