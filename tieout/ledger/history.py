"""Read what happened: to one item, by one run, and how many items stand where."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from tieout.ledger import schema
from tieout.ledger.database import in_pieces
from tieout.ledger.items import Item


@dataclass(frozen=True, slots=True)
class Moved:
    """What one actor did to an item: the state that it was left in, and the kinds of events on the way."""

    state: str
    kinds: frozenset[str]


@dataclass(frozen=True, slots=True)
class Happened:
    """One event of an invoice, in words."""

    at: datetime
    actor: str
    kind: str
    before: str | None
    after: str
    facts: dict[str, Any]


def count_states(connection: Connection) -> dict[str, int]:
    """Return how many items are in each state that any item is in."""
    state = schema.item.c.state
    return dict(connection.execute(select(state, func.count()).group_by(state)).tuples().all())


def newest(connection: Connection) -> int:
    """Return the id of the newest event, 0 where there is none."""
    return connection.execute(select(func.max(schema.event.c.event_id))).scalar() or 0


def events(connection: Connection, item_id: int) -> list[Happened]:
    """Return everything that happened to an item, in order."""
    return events_of(connection, [item_id])[item_id]


def events_of(connection: Connection, item_ids: Iterable[int]) -> dict[int, list[Happened]]:
    """Return everything that happened to these items, by item id, in order."""
    table = schema.event.c
    columns = (table.item_id, table.at, table.actor, table.kind, table.before, table.after, table.facts)
    found: dict[int, list[Happened]] = {item_id: [] for item_id in item_ids}
    for piece in in_pieces(found):
        rows = connection.execute(select(*columns).where(table.item_id.in_(piece)).order_by(table.position))
        for row in rows:
            happened = Happened(row.at, row.actor, row.kind, row.before, row.after, json.loads(row.facts))
            found[row.item_id].append(happened)
    return found


def left_by(connection: Connection, items: Iterable[Item], run_id: str) -> list[Item]:
    """Return those of the items that this run was the last to move: by a step that is tried again now."""
    items = list(items)
    happened = events_of(connection, [item.item_id for item in items])
    return [item for item in items if happened[item.item_id][-1].facts.get("run") == run_id]


def moved_by(connection: Connection, actor: str, since: datetime) -> dict[int, Moved]:
    """Return the items that the actor moved at or after `since`: where each was left, and by which events."""
    table = schema.event.c
    # Newest first, so that only what is younger than the run is read, however long the ledger is.
    rows = connection.execution_options(yield_per=500).execute(
        select(table.item_id, table.kind, table.after, table.actor, table.at).order_by(table.event_id.desc())
    )
    moved: dict[int, Moved] = {}
    for item_id, kind, after, who, at in rows:
        if at < since:
            break
        if who == actor:
            before = moved.get(item_id)
            moved[item_id] = Moved(before.state, before.kinds | {kind}) if before else Moved(after, frozenset({kind}))
    rows.close()
    return moved
