"""The outbox: what decisions owe Procore, put in the same commit as the decision (law 8)."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from tieout.clock import lasts
from tieout.connectors.base import invoice_key
from tieout.ledger import schema
from tieout.ledger.book import Transaction
from tieout.ledger.database import in_pieces
from tieout.ledger.items import Item, find_items

Origin = tuple[str | None, str | None]  # origin_id and origin_data of an invoice
_TABLE = schema.outbox
_IS_OPEN = (_TABLE.c.delivered_at.is_(None), _TABLE.c.given_up_at.is_(None))


@dataclass(frozen=True)
class Owed:
    """The newest letter of an item; it makes the older ones of the same item superfluous."""

    item: Item
    letter_ids: tuple[int, ...]  # oldest first
    facts: dict[str, str | None]
    lease_token: int
    lease_until: datetime | None
    sent_at: datetime | None  # when an earlier request with this letter left, whose answer is not known

    @property
    def origin(self) -> Origin:
        """What Procore shows of the invoice when it was told."""
        return self.facts["origin_id"], self.facts["origin_data"]


def lock(tx: Transaction, item: Item) -> None:
    """Have the invoice locked in Procore by writing our key as its origin_id."""
    tx.put(item, "lock", {"origin_id": invoice_key(item.company_id, item.invoice_id), "origin_data": None})


def unlock(tx: Transaction, item: Item) -> None:
    """Have the invoice made editable again in Procore."""
    tx.put(item, "unlock", {"origin_id": None, "origin_data": None})


def newest_open(connection: Connection) -> dict[int, int]:
    """Return the id of the newest letter that is neither delivered nor given up, by item id, oldest item first."""
    columns = (_TABLE.c.item_id, func.max(_TABLE.c.letter_id))
    query = select(*columns).where(*_IS_OPEN).group_by(_TABLE.c.item_id).order_by(_TABLE.c.item_id)
    return dict(connection.execute(query).tuples().all())


def owed(connection: Connection, item_ids: Iterable[int] | None = None) -> list[Owed]:
    """Return what is neither delivered nor given up, of all items or of these, oldest item first."""
    items = find_items(connection, item_id=list(newest_open(connection) if item_ids is None else item_ids))
    letters = _by_item(connection, items, *_IS_OPEN)
    return [_newest(item, letters[item.item_id]) for item in items if item.item_id in letters]


def claim(tx: Transaction, item_ids: Iterable[int], lease: timedelta, deadline: timedelta) -> list[Owed]:
    """Take what these items are owed under a lease with a new fencing token, an item as a whole.

    What somebody else holds is left to them until their lease is over and the longest request, `deadline`, as well.
    """
    until, claimed = tx.now + lease, []
    for each in owed(tx.connection, item_ids):
        if each.lease_until is None or not lasts(each.lease_until + deadline, tx.now, lease + deadline):
            taken = replace(each, lease_token=each.lease_token + 1, lease_until=until)
            _change(tx, each.letter_ids, lease_token=taken.lease_token, lease_until=until)
            claimed.append(taken)
    return claimed


def mark_sent(tx: Transaction, claimed: Owed, lease: timedelta) -> Owed | None:
    """Note that a request may leave now, and let the lease begin again; None when somebody else has taken it over."""
    until = tx.now + lease
    return replace(claimed, lease_until=until) if _settle(tx, claimed, sent_at=tx.now, lease_until=until) else None


def mark_delivered(tx: Transaction, claimed: Owed) -> bool:
    """Note that Procore took it; False when somebody else has taken it over."""
    return _settle(tx, claimed, delivered_at=tx.now, problem="", lease_until=None)


def mark_refused(tx: Transaction, claimed: Owed, problem: str) -> bool:
    """Note that Procore refused it for good; a person is told. False when somebody else has taken it over."""
    return _settle(tx, claimed, given_up_at=tx.now, problem=problem, lease_until=None)


def give_back(tx: Transaction, claimed: Owed, **values: Any) -> bool:
    """Leave it to the next pass, with what is known of it now: `problem`, `sent_at`."""
    return _settle(tx, claimed, **values, lease_until=None)


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


def _newest(item: Item, letters: Sequence[Row[Any]]) -> Owed:
    newest = letters[-1]
    return Owed(
        item,
        tuple(letter.letter_id for letter in letters),
        json.loads(newest.facts),
        max(letter.lease_token for letter in letters),
        max((letter.lease_until for letter in letters if letter.lease_until), default=None),
        newest.sent_at,
    )


def _by_item(connection: Connection, items: Iterable[Item], *where: Any) -> dict[int, list[Row[Any]]]:
    found: dict[int, list[Row[Any]]] = {}
    for piece in in_pieces(item.item_id for item in items):
        query = select(_TABLE).where(_TABLE.c.item_id.in_(piece), *where).order_by(_TABLE.c.letter_id)
        for letter in connection.execute(query):
            found.setdefault(letter.item_id, []).append(letter)
    return found


def _origin(letter: Row[Any]) -> Origin:
    facts = json.loads(letter.facts)
    return facts["origin_id"], facts["origin_data"]


def _settle(tx: Transaction, claimed: Owed, **values: Any) -> bool:
    """Change the letters of an item while they are ours, which their token tells."""
    return _change(tx, claimed.letter_ids, _TABLE.c.lease_token == claimed.lease_token, *_IS_OPEN, **values)


def _change(tx: Transaction, letter_ids: Sequence[int], *where: Any, **values: Any) -> bool:
    changed = 0
    for piece in in_pieces(letter_ids):
        query = update(_TABLE).where(_TABLE.c.letter_id.in_(piece), *where)
        changed += tx.connection.execute(query.values(values)).rowcount
    return changed > 0
