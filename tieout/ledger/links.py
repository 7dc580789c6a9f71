"""Read the links to the ERP: which invoices exist there, which were changed since, which await a release by hand."""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from tieout.ledger import schema, states
from tieout.ledger.items import ITEM, Item, read_items

LINKED = (*states.IN_ERP, states.GONE)
RELEASING = (*states.IN_ERP, states.NOT_EXPORTABLE)  # whose retention, where it is let go, is released by hand


def linked(connection: Connection, only: Sequence[int] | None = None) -> list[int]:
    """Return the ids of the items that exist or existed in the ERP: all, or those of these Procore invoices."""
    item = schema.item.c
    query = select(item.item_id).where(item.state.in_(LINKED)).order_by(item.item_id)
    if only is not None:
        query = query.where(item.invoice_id.in_(only))
    return list(connection.execute(query).scalars())


def drifted(connection: Connection) -> list[Item]:
    """Return the items with an open difference, oldest first."""
    query = select(*ITEM).where(schema.IS_DRIFTED).order_by(schema.item.c.item_id)
    return [item for item in read_items(connection, query) if item.state in LINKED]


def to_release(connection: Connection) -> list[Item]:
    """Return the items of which retention is to be released by hand in the ERP, oldest first."""
    query = select(*ITEM).where(schema.IS_TO_RELEASE).order_by(schema.item.c.item_id)
    return [item for item in read_items(connection, query) if item.state in RELEASING]
