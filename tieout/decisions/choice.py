"""Which invoices of a project a person means: named by the number that is on the paper, or by Procore's id."""

from collections.abc import Sequence
from dataclasses import dataclass

from data_contracts.invoice import Invoice, normalised_number
from tieout.connectors.procore import parse_invoice
from tieout.ledger import sightings
from tieout.ledger.book import Ledger
from tieout.ledger.database import Reader
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


def choose(ledger: Ledger, project_id: int, names: Sequence[str]) -> Chosen:
    """Return the project's invoices of these names; a number comes before an id that reads alike.

    Numbers are compared as a bookkeeper would: case, blanks, punctuation and leading zeros make no difference.
    """
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
                unclear.append((name, f"{len(found)} invoices bear this number, name one by its id: {several}"))
            else:
                unclear.append((name, "Procore shows no such invoice in this project"))
    return Chosen(tuple(chosen), tuple(unclear))


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
