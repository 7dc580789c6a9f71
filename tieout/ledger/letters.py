"""The outbox: what decisions owe Procore, put in the same commit as the decision (law 8)."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

from sqlalchemy import Connection, Row, func, select

from tieout.connectors.base import invoice_key
from tieout.ledger import errands, schema
from tieout.ledger.book import Transaction
from tieout.ledger.database import in_pieces
from tieout.ledger.errands import Errand, Kind
from tieout.ledger.items import Item, find_items

Origin = tuple[str | None, str | None]  # origin_id and origin_data of an invoice
_TABLE = schema.outbox
_KIND = Kind(_TABLE, row_id="letter_id", key="item_id")  # the newest letter of an item makes the older ones superfluous


@dataclass(frozen=True)
class Letter:
    """What Procore must be told of an item."""

    item: Item
    facts: dict[str, str | None]

    @property
    def origin(self) -> Origin:
        """What Procore shows of the invoice when it was told."""
        return self.facts["origin_id"], self.facts["origin_data"]


Owed: TypeAlias = Errand[Letter]


def lock(tx: Transaction, item: Item) -> None:
    """Have the invoice locked in Procore by writing our key as its origin_id."""
    tx.put(item, "lock", {"origin_id": invoice_key(item.company_id, item.invoice_id), "origin_data": None})


def unlock(tx: Transaction, item: Item) -> None:
    """Have the invoice made editable again in Procore."""
    tx.put(item, "unlock", {"origin_id": None, "origin_data": None})


def newest_open(connection: Connection) -> dict[int, int]:
    """Return the id of the newest letter that is neither delivered nor given up, by item id, oldest item first."""
    columns = (_TABLE.c.item_id, func.max(_TABLE.c.letter_id))
    query = select(*columns).where(*_KIND.is_open).group_by(_TABLE.c.item_id).order_by(_TABLE.c.item_id)
    return dict(connection.execute(query).tuples().all())


def owed(connection: Connection, item_ids: Iterable[int] | None = None) -> list[Owed]:
    """Return what is neither delivered nor given up, of all items or of these, oldest item first."""
    item_ids = newest_open(connection) if item_ids is None else item_ids
    items = {item.item_id: item for item in find_items(connection, item_id=list(item_ids))}
    return errands.owed(connection, _KIND, lambda row: Letter(items[row.item_id], json.loads(row.facts)), items)


def claim(tx: Transaction, item_ids: Iterable[int], lease: timedelta, deadline: timedelta) -> list[Owed]:
    """Take what these items are owed, as far as nobody holds it."""
    return errands.claim(tx, owed(tx.connection, item_ids), lease, deadline)


def put_right(tx: Transaction, shown: Mapping[int, Origin]) -> None:
    """Put a letter again where Procore shows what an older one of the same invoice said; `shown` is by invoice id.

    A deliverer that was stopped past its lease may wake up and write what is no longer true. What Procore shows
    otherwise was written by somebody else, and there is no use in writing by turns.
    """
    items = tx.items(invoice_id=list(shown))
    letters = _by_item(tx.connection, items)
    for item in (each for each in items if each.item_id in letters):
        *older, newest = letters[item.item_id]
        origin = shown[item.invoice_id]
        is_told = newest.delivered_at is not None and _origin(newest) != origin
        if is_told and origin in map(_origin, older):
            tx.put(item, newest.kind, json.loads(newest.facts))


def problems(connection: Connection) -> list[tuple[str, str]]:
    """Return (invoice number, problem) of what Procore refused or could not take yet."""
    query = (
        select(schema.item.c.number, _TABLE.c.problem)
        .join(schema.item, schema.item.c.item_id == _TABLE.c.item_id)
        .where(_TABLE.c.delivered_at.is_(None), _TABLE.c.problem != "")
    )
    return [(row.number, row.problem) for row in connection.execute(query)]


def _by_item(connection: Connection, items: Iterable[Item]) -> dict[int, list[Row[Any]]]:
    found: dict[int, list[Row[Any]]] = {}
    for piece in in_pieces(item.item_id for item in items):
        query = select(_TABLE).where(_TABLE.c.item_id.in_(piece)).order_by(_TABLE.c.letter_id)
        for letter in connection.execute(query):
            found.setdefault(letter.item_id, []).append(letter)
    return found


def _origin(letter: Row[Any]) -> Origin:
    facts = json.loads(letter.facts)
    return facts["origin_id"], facts["origin_data"]
