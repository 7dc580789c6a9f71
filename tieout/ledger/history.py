"""Read what happened: the events of an item, what one run brought about, how reviews stand."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from tieout.ledger import schema


@dataclass(frozen=True, slots=True)
class Happening:
    """One event of an item, as a person reads it."""

    at: datetime
    kind: str
    before: str | None
    after: str
    actor: str
    revision: int


@dataclass(frozen=True, slots=True)
class Review:
    """What a review run offered, and whether it still waits for an answer."""

    run_id: str
    project_id: int
    offered: frozenset[tuple[int, str]]  # invoice id and content hash
    is_open: bool
    outcome: str


def timeline(connection: Connection, item_id: int) -> list[Happening]:
    """Return everything that happened to an item, oldest first."""
    table = schema.event.c
    columns = (table.at, table.kind, table.before, table.after, table.actor, table.revision)
    rows = connection.execute(select(*columns).where(table.item_id == item_id).order_by(table.position))
    return [Happening(*row) for row in rows]


def left_by(connection: Connection, actor: str, since: datetime) -> dict[int, str]:
    """Return the items that the actor moved at or after `since`, each with the state that it was left in."""
    table = schema.event.c
    # Newest first, so that only what is younger than the run is read, however long the ledger is.
    rows = connection.execution_options(yield_per=500).execute(
        select(table.item_id, table.after, table.actor, table.at).order_by(table.event_id.desc())
    )
    left: dict[int, str] = {}
    for item_id, after, who, at in rows:
        if at < since:
            break
        if who == actor:
            left.setdefault(item_id, after)
    rows.close()
    return left


def reviews(connection: Connection, run_ids: Iterable[str]) -> dict[str, Review]:
    """Return the reviews of these runs that have offered something, by run id."""
    table = schema.review
    rows = connection.execute(select(table).where(table.c.run_id.in_(list(run_ids))))
    return {
        row.run_id: Review(
            run_id=row.run_id,
            project_id=row.project_id,
            offered=frozenset((invoice_id, content_hash) for invoice_id, content_hash in json.loads(row.offered)),
            is_open=row.closed_at is None,
            outcome=row.outcome,
        )
        for row in rows
    }
