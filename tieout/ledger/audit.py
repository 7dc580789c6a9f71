"""Prove that nobody changed what happened: every event chained to the one before, every commit to the commit before.

Items, intents, payments and bodies repeat what events tell of them, so that a change of those is found as well.
Memory stays flat: events are read in order, some hundred items at a time.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby, islice
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, Table, func, select

from tieout.ledger import schema, states
from tieout.ledger.book import TOLD_OTHERWISE, Ledger, event_hash
from tieout.ledger.database import in_pieces
from tieout.ledger.digests import digest_of, plain
from tieout.ledger.items import ITEM, Item
from tieout.ledger.sightings import bodies
from tieout.progress import Progress, followed, unseen

_AT_ONCE = 500  # rows that are read, and items that are compared, in one go
_BODIES = 50  # bodies in memory at once
_FREEZING = (states.CLAIM, states.AMEND)
# What an item begins with, unless its first event says otherwise.
_AT_FIRST = {name: value for name, value in Item._field_defaults.items() if name not in TOLD_OTHERWISE}
_SEALS = select(schema.seal).order_by(schema.seal.c.seal_id)
Event = Row[Any]


class History(NamedTuple):
    """One item with all its events in order; no item where somebody removed its row."""

    item: Item | None
    events: list[Event]

    @property
    def name(self) -> str:
        """How a person finds the invoice."""
        item_id = self.item.item_id if self.item else self.events[0].item_id
        return f"invoice {self.item.number} (item {item_id})" if self.item else f"item {item_id}"


def verify(ledger: Ledger, anchor: str = "", progress: Progress = unseen) -> list[str]:
    """Return what is wrong, a sentence each; an empty list says that all is as it happened.

    `anchor` is a `head` that was kept outside of the database: without one, nobody can tell that the newest
    commits were cut off. `progress` counts commits and then items.
    """
    with ledger.reading() as connection:
        seals, items = _count(connection, schema.seal), _count(connection, schema.item)
        links = followed(_stream(connection, _SEALS), seals + items, progress)
        problems = list(_check_seals(connection, links, anchor))
        histories = in_pieces(_histories(connection), _AT_ONCE)
        for piece in followed(histories, seals + items, progress, len, done=seals):
            for history in piece:
                problems += _check_chain(history.events)
                problems += _differences(history)
            problems += _check_intents(connection, piece)
            problems += _check_payments(connection, piece)
            problems += _check_bodies(connection, piece)
    return problems


def rebuild(ledger: Ledger, progress: Progress = unseen) -> tuple[int, list[str]]:
    """Derive every item again from its events; return how many there are, and where the ledger says otherwise."""
    derived = 0
    problems: list[str] = []
    with ledger.reading() as connection:
        for history in followed(_histories(connection), _count(connection, schema.item), progress):
            problems += _differences(history)
            derived += 1
    return derived, problems


def head(ledger: Ledger) -> str:
    """Return the newest link of the overall chain as `number:hash`, to be kept where nobody can change both."""
    newest = select(schema.seal.c.seal_id, schema.seal.c.hash).order_by(schema.seal.c.seal_id.desc()).limit(1)
    with ledger.reading() as connection:
        row = connection.execute(newest).first()
    return f"{row.seal_id}:{row.hash}" if row else ""


def _histories(connection: Connection) -> Iterator[History]:
    items = map(Item._make, _stream(connection, select(*ITEM).order_by(schema.item.c.item_id)))
    events = _stream(connection, select(schema.event).order_by(schema.event.c.item_id, schema.event.c.position))
    item = next(items, None)
    for item_id, happened in groupby(events, key=lambda event: event.item_id):
        while item is not None and item.item_id < item_id:
            yield History(item, [])
            item = next(items, None)
        if item is not None and item.item_id == item_id:
            yield History(item, list(happened))
            item = next(items, None)
        else:
            yield History(None, list(happened))
    while item is not None:
        yield History(item, [])
        item = next(items, None)


def _check_chain(events: Sequence[Event]) -> Iterator[str]:
    position, previous = 0, ""
    for event in events:
        where = f"event {event.event_id} (item {event.item_id}, position {event.position})"
        if event_hash(event) != event.hash:
            yield f"{where} was changed"
        if event.position != position + 1 or event.previous_hash != previous:
            yield f"{where} does not follow position {position}: a row is missing, inserted or moved"
        position, previous = event.position, event.hash


def _differences(history: History) -> Iterator[str]:
    """Say where an item's row is not what its events make of it."""
    item, events = history
    if item is None:
        yield f"{history.name} is gone, but its events are there"
        return
    if not events:
        yield f"{history.name} has no event"
        return
    for name, told in _derived(events).items():
        there = getattr(item, name)
        if (plain(there) if isinstance(there, datetime) else there) != told:
            yield f"{history.name}: its {name} is {there}, its events say {told}"


def _derived(events: Sequence[Event]) -> dict[str, Any]:
    """Return what the events make of an item, its columns by name."""
    row: dict[str, Any] = dict(_AT_FIRST)
    for event in events:
        row |= json.loads(event.changes)
    last = events[-1]
    return row | {
        "item_id": last.item_id,
        "state": last.after,
        "version": last.position,
        "changed_at": plain(last.at),
        "chain_hash": last.hash,
    }


def _check_intents(connection: Connection, histories: Sequence[History]) -> Iterator[str]:
    """What was frozen to be sent is told by the event that froze it."""
    columns = ("item_id", "key", "voucher", "payload_hash")
    there = _by_item(connection, schema.intent, columns, histories)
    for history in histories:
        told = [json.loads(event.facts) for event in history.events if event.kind in _FREEZING]
        rows = there.get(history.events[0].item_id, []) if history.events else []
        found = [{"key": row.key, "voucher": digest_of(row.voucher), "payload": row.payload_hash} for row in rows]
        if found != [facts for facts in told if facts]:  # one that was taken up again froze nothing new
            yield f"{history.name}: its intents do not match its events"


def _check_payments(connection: Connection, histories: Sequence[History]) -> Iterator[str]:
    """What was taken over to be written to Procore is told by the event that took it over."""
    columns = ("item_id", "origin_id", "amount_minor", "discount_minor", "body")
    there = _by_item(connection, schema.payment, columns, histories)
    for history in histories:
        told = [json.loads(event.facts) for event in history.events if event.kind == states.PAY]
        rows = there.get(history.events[0].item_id, []) if history.events else []
        found = {row.origin_id: (row.amount_minor, row.discount_minor, digest_of(row.body)) for row in rows}
        if found != {each["origin_id"]: (each["amount_minor"], each["discount_minor"], each["body"]) for each in told}:
            yield f"{history.name}: its payments do not match its events"


def _check_bodies(connection: Connection, histories: Sequence[History]) -> Iterator[str]:
    """What was judged is still as it came from Procore."""
    told: dict[int, tuple[str, History]] = {}
    for history in histories:
        for event in history.events:
            snapshot_id = json.loads(event.changes).get("snapshot_id")
            if snapshot_id and (digest := json.loads(event.facts).get("body")):
                told[snapshot_id] = digest, history
    for piece in in_pieces(told, _BODIES):
        shown = bodies(connection, piece)
        for snapshot_id in piece:
            digest, history = told[snapshot_id]
            if snapshot_id not in shown or digest_of(shown[snapshot_id]) != digest:
                yield f"{history.name}: what Procore showed of it (snapshot {snapshot_id}) was changed or removed"


def _check_seals(connection: Connection, links: Iterable[Row[Any]], anchor: str) -> Iterator[str]:
    event = schema.event.c
    hashes = (row.hash for row in _stream(connection, select(event.hash).order_by(event.event_id)))
    previous, is_anchored = "", not anchor
    for link in links:
        digest = digest_of(*islice(hashes, link.events))
        if link.previous_hash != previous or link.hash != digest_of(previous, link.digest):
            yield f"commit {link.seal_id} does not follow the commit before it"
        if digest != link.digest:
            yield f"commit {link.seal_id} no longer holds the {link.events} events that it was sealed over"
        previous = link.hash
        is_anchored = is_anchored or anchor == f"{link.seal_id}:{link.hash}"
    if next(hashes, None) is not None:
        yield "events were added that no commit has sealed"
    if not is_anchored:
        yield f"the commit that was kept as {anchor} is not there: commits were cut off, or it is another ledger"


def _by_item(
    connection: Connection, table: Table, columns: Iterable[str], histories: Sequence[History]
) -> dict[int, list[Row[Any]]]:
    item_ids = [history.events[0].item_id for history in histories if history.events]
    found: dict[int, list[Row[Any]]] = {}
    query = select(*(table.c[name] for name in columns)).where(table.c.item_id.in_(item_ids))
    for row in connection.execute(query.order_by(*table.primary_key)):
        found.setdefault(row.item_id, []).append(row)
    return found


def _count(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def _stream(connection: Connection, query: Select[Any]) -> Iterator[Any]:
    return iter(connection.execute(query, execution_options={"yield_per": _AT_ONCE}))
