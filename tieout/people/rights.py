"""Who may do what, and who somebody is: asked where the action is recorded (requirements R1 to R4, AM-7)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tieout.errors import RefusedError
from tieout.ledger.book import Ledger, Transaction
from tieout.office import Office
from tieout.people import codes
from tieout.settings import Person, Settings


@dataclass(frozen=True)
class Signature:
    """Who says something: the name and the one-time code that were typed, and when they were handed in."""

    name: str
    code: str = field(default="", repr=False)
    at: datetime | None = None  # the code is judged as of then; None is the moment of the transaction
    decision: str = ""  # the one answer that was handed in: trying again to record it takes no second code


@dataclass(frozen=True)
class Right:
    """What it takes to do something."""

    name: str
    refusal: str  # follows the name of somebody who has not got it
    lacks: Callable[[Person], list[str]]

    def missing(self, people: Mapping[str, Person], name: str) -> str:
        """Return in words what this person lacks; empty when nothing."""
        person = people.get(name)
        words = ["an entry of that name in [[people]]"] if person is None else self.lacks(person)
        verb = "are" if len(words) > 1 else "is"
        return f"{name or 'Nobody'} {self.refusal}: {' and '.join(words)} {verb} missing" if words else ""

    def holders(self, people: Mapping[str, Person]) -> list[str]:
        """Return the names of those who have it."""
        return [name for name, person in people.items() if not self.lacks(person)]


def _lacks_for_deciding(person: Person) -> list[str]:
    lacking = []
    if person.erp_integrations not in ("standard", "admin"):
        lacking.append("Standard or Admin on ERP Integrations")
    if not person.can_push_to_accounting:
        lacking.append("Can Push to Accounting")
    return lacking


def _lacks_for_payments(person: Person) -> list[str]:
    if person.erp_integrations == "admin" or not _lacks_for_deciding(person):
        return []
    return ["Admin on ERP Integrations"]


# Both privileges, not either (R2, R3).
APPROVER = Right("accounting approver", "is not an accounting approver", _lacks_for_deciding)
# An approver may do it too (R4, AM-7).
PAYMENTS = Right("payment sync by hand", "may not start a payment sync by hand", _lacks_for_payments)


def sender(project_id: int) -> Right:
    """Return the right to send this project's invoices to the ERP and to take them back (R1)."""

    def lacks(person: Person) -> list[str]:
        if person.commitments_admin == "all" or project_id in person.commitments_admin:
            return []
        return [f"Admin on the Commitments tool of project {project_id}"]

    return Right("Commitments Admin", f"may not send or retrieve invoices of project {project_id}", lacks)


def objections(tx: Transaction, settings: Settings, who: Signature, right: Right) -> list[str]:
    """Return why nothing may be recorded in their name; empty where it may.

    Commit in either case: a right code is spent by having been looked at, a wrong one counts.
    A dry run takes no code: nothing of it remains.
    """
    if missing := right.missing(settings.people, who.name):
        return [missing]
    if tx.is_rehearsal or settings.approval.proof == "name":
        return []
    return list(filter(None, [codes.check(tx, settings, who.name, who.code, who.at or tx.now, who.decision)]))


def require(ledger: Ledger, who: Signature, right: Right, document: str, office: Office) -> None:
    """Raise RefusedError where they may not; for what is recorded in more than one commit."""
    with ledger.transaction(office.clock(), who.name) as tx:
        found = objections(tx, office.settings, who, right)
    refuse(document, found)


def refuse(document: str, problems: list[str]) -> None:
    """Raise RefusedError when there are problems; after the commit, which must not be undone by it."""
    if problems:
        raise RefusedError("Ledger", document, "; ".join(problems))


def facts(settings: Settings, right: Right) -> dict[str, str]:
    """Return what an event tells of the right by which it came about."""
    return {"right": right.name, "proof": settings.approval.proof}
