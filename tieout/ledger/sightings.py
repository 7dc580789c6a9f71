"""What Procore showed last of each invoice, and the bodies as they came."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from data_contracts.invoice import SENDABLE
from tieout.ledger import schema
from tieout.ledger.book import Transaction
from tieout.ledger.database import fits, in_pieces
from tieout.ledger.writes import adding_to


@dataclass(frozen=True, slots=True)
class Sighting:
    """What Procore showed last of one invoice."""

    company_id: int
    invoice_id: int
    project_id: int
    commitment_id: int | None
    status: str
    updated_at: datetime
    snapshot_id: int | None
    content_hash: str
    number_key: str
    is_fresh: bool
    is_gone: bool
    number: str = ""
    vendor: str = ""
    commitment: str = ""
    period: str = ""
    billed_on: str = ""  # YYYY-MM-DD

    @property
    def may_be_sent(self) -> bool:
        """Whether its status in Procore lets it be sent to the ERP (R15)."""
        return self.status in SENDABLE and not self.is_gone


class Billed(NamedTuple):
    """What an invoice that was sent bills."""

    commitment_id: int
    period: str
    gross_minor: int
    invoice_id: int
    number: str


def store_snapshot(tx: Transaction, seen: dict[str, Any]) -> int:
    """Keep a body as it came, once per content, and return its snapshot's id (law 7)."""
    table = schema.snapshot
    same = select(table.c.snapshot_id).where(
        table.c.company_id == seen["company_id"],
        table.c.invoice_id == seen["invoice_id"],
        table.c.content_hash == seen["content_hash"],
    )
    known = tx.connection.execute(same).scalar_one_or_none()
    if known is None:
        row = {**seen, "fetched_at": tx.now}
        tx.connection.execute(adding_to(tx.connection, table).values(row).on_conflict_do_nothing())
        known = tx.connection.execute(same).scalar_one()
    return int(known)


def store_sighting(tx: Transaction, sighting: Sighting) -> None:
    """Remember what Procore shows of an invoice now."""
    tx.upsert(schema.sighting, ("company_id", "invoice_id"), _as_row(sighting))


def note_judged(tx: Transaction, sighting: Sighting) -> None:
    """Remember that what Procore shows of an invoice now was judged."""
    whose = {"company_id": sighting.company_id, "invoice_id": sighting.invoice_id}
    tx.update(schema.sighting, whose, {"is_fresh": False}, tuple(whose.values()))


def sightings(connection: Connection, project_id: int) -> dict[int, Sighting]:
    """Return what Procore showed last of a project's invoices, by Procore invoice id."""
    rows = connection.execute(select(schema.sighting).where(schema.sighting.c.project_id == project_id))
    return {row.invoice_id: Sighting(**row._mapping) for row in rows}


def sightings_of(connection: Connection, invoice_ids: Iterable[int], is_to_change: bool = False) -> dict[int, Sighting]:
    """Return the sightings of these invoices, by Procore invoice id.

    Those that the transaction means to change PostgreSQL locks until the commit. Who locks items as well locks these
    first: two that do it in turn would wait for each other.
    """
    found: dict[int, Sighting] = {}
    for piece in in_pieces(sorted(filter(fits, invoice_ids))):
        query = select(schema.sighting).where(schema.sighting.c.invoice_id.in_(piece))
        query = query.order_by(schema.sighting.c.invoice_id)
        rows = connection.execute(query.with_for_update() if is_to_change else query)
        found |= {row.invoice_id: Sighting(**row._mapping) for row in rows}
    return found


def bodies(connection: Connection, snapshot_ids: Iterable[int]) -> dict[int, str]:
    """Return the bodies of these snapshots as they came, by snapshot id."""
    found: dict[int, str] = {}
    table = schema.snapshot
    for piece in in_pieces(snapshot_ids):
        query = select(table.c.snapshot_id, table.c.body).where(table.c.snapshot_id.in_(piece))
        found |= {row.snapshot_id: row.body for row in connection.execute(query)}
    return found


def bodies_shown(connection: Connection, contents: dict[int, str]) -> dict[int, str]:
    """Return the bodies that had these content hashes, by Procore invoice id."""
    found: dict[int, str] = {}
    table = schema.snapshot.c
    for piece in in_pieces(contents):
        query = select(table.invoice_id, table.content_hash, table.body).where(table.invoice_id.in_(piece))
        rows = connection.execute(query)
        found |= {row.invoice_id: row.body for row in rows if contents[row.invoice_id] == row.content_hash}
    return found


def sharing_number(connection: Connection, number_keys: Iterable[str]) -> dict[str, list[tuple[Sighting, str | None]]]:
    """Return the invoices that Procore shows under each of these keys, with the state of their items."""
    found: dict[str, list[tuple[Sighting, str | None]]] = {}
    seen, item = schema.sighting, schema.item
    same = (item.c.company_id == seen.c.company_id) & (item.c.invoice_id == seen.c.invoice_id)
    for piece in in_pieces(number_keys):
        query = select(seen, item.c.state).select_from(seen.outerjoin(item, same))
        for row in connection.execute(query.where(seen.c.number_key.in_(piece), seen.c.is_gone.is_(False))):
            *columns, state = row
            found.setdefault(row.number_key, []).append((Sighting(*columns), state))
    return found


def billed_on(connection: Connection, commitment_ids: Iterable[int], states: Sequence[str]) -> list[Billed]:
    """Return what the invoices on these commitments bill that are in `states`."""
    found: list[Billed] = []
    seen, item = schema.sighting, schema.item
    same = (item.c.company_id == seen.c.company_id) & (item.c.invoice_id == seen.c.invoice_id)
    for piece in in_pieces(commitment_ids):
        query = select(item.c.commitment_id, seen.c.period, item.c.gross_minor, item.c.invoice_id, item.c.number)
        query = query.select_from(item.join(seen, same)).where(item.c.commitment_id.in_(piece))
        found += map(Billed._make, connection.execute(query.where(item.c.state.in_(states))))
    return found


def unjudged(connection: Connection, project_id: int, states: Sequence[str], fingerprint: str) -> list[int]:
    """Return the invoices of a project that are new, and those in `states` that were judged on another basis last."""
    seen, item = schema.sighting.c, schema.item.c
    fresh = select(seen.invoice_id).where(seen.project_id == project_id, seen.is_fresh)
    stale = select(item.invoice_id).where(
        item.project_id == project_id, item.state.in_(states), item.judged_by != fingerprint
    )
    return sorted({*connection.execute(fresh).scalars(), *connection.execute(stale).scalars()})


def _as_row(sighting: Sighting) -> dict[str, Any]:
    return {name: getattr(sighting, name) for name in Sighting.__slots__}
