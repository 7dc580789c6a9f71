"""Reviews: what each review run offered, frozen when it began, and what was decided."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update

from tieout.ledger import schema
from tieout.ledger.book import Transaction, canonical

_TABLE = schema.review


@dataclass(frozen=True)
class Review:
    """One review run; `offered` maps invoice ids to the content hash that was shown."""

    run_id: str
    project_id: int
    offered: dict[int, str]
    is_open: bool
    outcome: str
    decision: str


def read_review(connection: Connection, run_id: str) -> Review | None:
    """Return the review of this run, or None when it has offered nothing."""
    row = connection.execute(select(_TABLE).where(_TABLE.c.run_id == run_id)).first()
    if row is None:
        return None
    offered = dict(json.loads(row.offered))
    return Review(run_id, row.project_id, offered, row.closed_at is None, row.outcome, row.decision)


def open_review(tx: Transaction, run_id: str, project_id: int, offered: Sequence[tuple[int, str]]) -> None:
    """Freeze what the run offers."""
    row = {"run_id": run_id, "project_id": project_id, "offered": canonical(offered), "opened_at": tx.now}
    tx.connection.execute(insert(_TABLE).values(row))


def close_review(tx: Transaction, run_id: str, outcome: str, decided_by: str = "", decision: str = "") -> None:
    """Close an open review; one that is closed stays as it is."""
    values: dict[str, Any] = {"closed_at": tx.now, "outcome": outcome, "decided_by": decided_by, "decision": decision}
    still_open = (_TABLE.c.run_id == run_id, _TABLE.c.closed_at.is_(None))
    tx.connection.execute(update(_TABLE).where(*still_open).values(values))
