"""Read what a list of a project's invoices needs: all that Procore ever showed, beside what became of it."""

import json
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, select

from tieout.ledger import schema
from tieout.ledger.book import Transaction
from tieout.ledger.digests import canonical
from tieout.ledger.history import newest
from tieout.ledger.items import ITEM, Item
from tieout.ledger.references import references, store_reference
from tieout.ledger.sightings import Sighting

_AT_ONCE = 500  # rows in memory
_WRITTEN = "grids/written"
_COLUMNS = len(schema.sighting.c)


def seen_with_items(
    connection: Connection, project_id: int, changed_since: datetime | None = None, billed_since: date | None = None
) -> Iterator[tuple[Sighting, Item | None]]:
    """Yield every invoice of a project that Procore ever showed, with its item if it was sent; newest change first."""
    seen, item = schema.sighting, schema.item
    same = (item.c.company_id == seen.c.company_id) & (item.c.invoice_id == seen.c.invoice_id)
    query = select(seen, *ITEM).select_from(seen.outerjoin(item, same)).where(seen.c.project_id == project_id)
    if changed_since is not None:
        query = query.where(seen.c.updated_at >= changed_since)
    if billed_since is not None:
        query = query.where(seen.c.billed_on >= billed_since.isoformat())
    in_order = query.order_by(seen.c.updated_at.desc(), seen.c.invoice_id.desc())
    for row in connection.execute(in_order.execution_options(yield_per=_AT_ONCE)):
        known = row[_COLUMNS:]
        yield Sighting(*row[:_COLUMNS]), None if known[0] is None else Item._make(known)


def moved_since_written(connection: Connection) -> tuple[int, datetime | None, list[int]]:
    """Return the newest event, when the lists were written last, and the projects in which anything happened since."""
    body = references(connection, [_WRITTEN]).get(_WRITTEN)
    written: dict[str, Any] = json.loads(body) if body else {"event": 0, "at": None}
    event, item = schema.event.c, schema.item.c
    moved = select(item.project_id).distinct().join(schema.event, event.item_id == item.item_id)
    projects = connection.execute(moved.where(event.event_id > written["event"])).scalars()
    at = datetime.fromisoformat(written["at"]) if written["at"] else None
    return newest(connection), at, sorted(projects)


def note_written(tx: Transaction, event_id: int) -> None:
    """Note that the lists show everything up to this event."""
    store_reference(tx, _WRITTEN, canonical({"event": event_id, "at": tx.now.isoformat()}))
