"""Which invoices a person means: named by the number that is on the paper, or by Procore's id."""

from collections.abc import Sequence
from dataclasses import dataclass

from data_contracts.commitment import Project
from data_contracts.invoice import Invoice, normalised_number
from tieout.connectors.procore import parse_invoice
from tieout.errors import RefusedError
from tieout.ledger import sightings, states
from tieout.ledger.book import Ledger
from tieout.ledger.database import Reader
from tieout.ledger.items import Columns, Item
from tieout.ledger.references import known_projects
from tieout.ledger.sightings import Sighting
from tieout.results import Result


@dataclass(frozen=True)
class Chosen(Result):
    """The invoices that were meant, and (name, why not) of each name that means none or several."""

    invoice_ids: tuple[int, ...] = ()
    unclear: tuple[tuple[str, str], ...] = ()

    @property
    def refused(self) -> list[str]:
        """Which names mean none or several."""
        return [f"{name}: {why}" for name, why in self.unclear]


def named_project(ledger: Ledger, project_id: int) -> Project:
    """Return the project of this id; RefusedError for one that Procore never listed."""
    project = known_projects(ledger, [project_id]).get(project_id)
    if project is None:
        why = "Procore never listed it; take the project's number from the address of its pages there"
        raise RefusedError("Ledger", f"project {project_id}", why)
    return project


def named_invoice(ledger: Ledger, invoice_id: int, company_id: int | None = None) -> Item:
    """Return the invoice of this id; RefusedError for one that nobody knows or that was never sent."""
    for item in ledger.items(invoice_id=invoice_id):
        if company_id in (None, item.company_id):
            return item
    with ledger.reading() as connection:
        seen = sightings.sightings_of(connection, [invoice_id]).get(invoice_id)
    raise RefusedError("Ledger", f"invoice {invoice_id}", _why_not_sent(seen, company_id))


def failed(ledger: Ledger, cause: str | None, project_id: int | None, invoice_ids: Sequence[int] | None) -> list[Item]:
    """Return what failed or is held and fits; RefusedError for a project or an invoice that nobody knows."""
    wanted: Columns = {"state": (states.FAILED, states.HELD)}
    if cause:
        wanted["cause"] = cause
    if project_id is not None:
        wanted["project_id"] = named_project(ledger, project_id).project_id_procore
    if invoice_ids:
        wanted["invoice_id"] = [named_invoice(ledger, each).invoice_id for each in invoice_ids]
    return ledger.items(**wanted)


def choose(ledger: Ledger, project_id: int, names: Sequence[str]) -> Chosen:
    """Return the project's invoices of these names; a number comes before an id that reads alike.

    Numbers are compared as a bookkeeper would: case, blanks, punctuation and leading zeros make no difference.
    Raises RefusedError for a project that Procore never listed.
    """
    named_project(ledger, project_id)
    chosen: dict[int, None] = {}
    unclear: list[tuple[str, str]] = []
    with ledger.reading() as connection:
        seen = sightings.sightings(connection, project_id)
        for name in dict.fromkeys(each.strip() for each in names if each.strip()):
            found = _meant(seen, name)
            if len(found) == 1:
                chosen[found[0].invoice_id] = None
            elif found:
                several = "; ".join(_in_words(connection, each) for each in found)
                unclear.append((name, f"{len(found)} invoices have this number, name one by its id: {several}"))
            else:
                unclear.append((name, "Procore shows no such invoice in this project"))
    return Chosen(tuple(chosen), tuple(unclear))


def _why_not_sent(seen: Sighting | None, company_id: int | None) -> str:
    if seen is None:
        return (
            "tieout never read it from Procore; take Procore's id from the invoice's address there or from "
            "show-invoices, not the number on the paper; if it is new in Procore, use send-invoices"
        )
    if company_id not in (None, seen.company_id):
        return f"it belongs to company {seen.company_id}, not to company {company_id}"
    return "it was never sent to accounting; use send-invoices"


def _meant(seen: dict[int, Sighting], name: str) -> list[Sighting]:
    key = normalised_number(name)
    same = [each for each in seen.values() if key and each.number_key.rpartition("|")[2] == key and not each.is_gone]
    by_id = seen.get(int(name)) if name.isascii() and name.isdigit() else None
    return same or ([by_id] if by_id else [])


def _in_words(connection: Reader, sighting: Sighting) -> str:
    shown = sightings.bodies(connection, [sighting.snapshot_id]) if sighting.snapshot_id is not None else {}
    parsed = [parse_invoice(body, sighting.company_id) for body in shown.values()]
    vendors = [each.vendor_name for each in parsed if isinstance(each, Invoice)]
    return f"{sighting.invoice_id} ({', '.join([*vendors, sighting.status])})"
