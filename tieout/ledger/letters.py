"""The outbox: what decisions owe Procore, put in the same commit as the decision (law 8)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, update

from tieout.connectors.base import invoice_key
from tieout.ledger import schema
from tieout.ledger.book import Item, Transaction
from tieout.ledger.records import in_pieces

_TABLE = schema.outbox


@dataclass(frozen=True)
class Owed:
    """The newest letter of an item; it makes the older ones of the same item superfluous."""

    item_id: int
    letter_ids: tuple[int, ...]
    facts: dict[str, str | None]


def lock(tx: Transaction, item: Item) -> None:
    """Have the invoice locked in Procore by writing our key as its origin_id."""
    tx.put(item, "lock", {"origin_id": invoice_key(item.company_id, item.invoice_id), "origin_data": None})


def unlock(tx: Transaction, item: Item) -> None:
    """Have the invoice made editable again in Procore."""
    tx.put(item, "unlock", {"origin_id": None, "origin_data": None})


def owed(connection: Connection) -> list[Owed]:
    """Return what is neither delivered nor given up, oldest item first."""
    still_open = (_TABLE.c.delivered_at.is_(None), _TABLE.c.given_up_at.is_(None))
    by_item: dict[int, list[Any]] = {}
    for letter in connection.execute(select(_TABLE).where(*still_open).order_by(_TABLE.c.letter_id)):
        by_item.setdefault(letter.item_id, []).append(letter)
    return [
        Owed(item_id, tuple(letter.letter_id for letter in letters), json.loads(letters[-1].facts))
        for item_id, letters in by_item.items()
    ]


def mark_delivered(tx: Transaction, letter_ids: Sequence[int]) -> None:
    """Note that Procore took them."""
    _mark(tx, letter_ids, delivered_at=tx.now, problem="")


def mark_refused(tx: Transaction, letter_ids: Sequence[int], problem: str) -> None:
    """Note that Procore refused them for good; a person is told."""
    _mark(tx, letter_ids, given_up_at=tx.now, problem=problem)


def mark_tried(tx: Transaction, letter_ids: Sequence[int], problem: str) -> None:
    """Note an attempt that came to nothing; the next pass tries again."""
    _mark(tx, letter_ids, attempts=_TABLE.c.attempts + 1, problem=problem)


def problems(connection: Connection) -> list[tuple[str, str]]:
    """Return (invoice number, problem) of what Procore refused or could not take yet."""
    query = (
        select(schema.item.c.number, _TABLE.c.problem)
        .join(schema.item, schema.item.c.item_id == _TABLE.c.item_id)
        .where(_TABLE.c.delivered_at.is_(None), _TABLE.c.problem != "")
    )
    return [(row.number, row.problem) for row in connection.execute(query)]


def _mark(tx: Transaction, letter_ids: Sequence[int], **values: Any) -> None:
    for piece in in_pieces(letter_ids):
        tx.connection.execute(update(_TABLE).where(_TABLE.c.letter_id.in_(piece)).values(values))
