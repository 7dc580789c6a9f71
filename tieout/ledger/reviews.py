"""Reviews: what each review run offered, frozen when it began, and what was decided."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, update

from tieout.ledger import schema
from tieout.ledger.book import Transaction
from tieout.ledger.database import to_change
from tieout.ledger.digests import canonical

_TABLE = schema.review


@dataclass(frozen=True, slots=True)
class Review:
    """What a review run offered, whether it still waits for an answer, and what the answer was."""

    run_id: str
    project_id: int
    offered: frozenset[tuple[int, str]]  # invoice id and content hash
    is_open: bool
    outcome: str
    decision: str = ""


def read_reviews(connection: Connection, run_ids: Iterable[str]) -> dict[str, Review]:
    """Return the reviews of these runs that have offered something, by run id."""
    rows = connection.execute(to_change(connection, select(_TABLE).where(_TABLE.c.run_id.in_(list(run_ids)))))
    return {
        row.run_id: Review(
            run_id=row.run_id,
            project_id=row.project_id,
            offered=frozenset((invoice_id, content_hash) for invoice_id, content_hash in json.loads(row.offered)),
            is_open=row.closed_at is None,
            outcome=row.outcome,
            decision=row.decision,
        )
        for row in rows
    }


def read_review(connection: Connection, run_id: str) -> Review | None:
    """Return the review of this run, or None when it has offered nothing."""
    return read_reviews(connection, [run_id]).get(run_id)


def open_run_ids(connection: Connection) -> list[str]:
    """Return the runs whose reviews wait for an answer."""
    return list(connection.execute(select(_TABLE.c.run_id).where(_TABLE.c.closed_at.is_(None))).scalars())


def open_review(tx: Transaction, run_id: str, project_id: int, offered: Sequence[tuple[int, str]]) -> None:
    """Freeze what the run offers."""
    row = {"run_id": run_id, "project_id": project_id, "offered": canonical(offered), "opened_at": tx.now}
    tx.insert(_TABLE, row, run_id)


def supersede_reviews(tx: Transaction, project_id: int) -> None:
    """Close the open reviews of a project: what they show is no longer what would be accepted."""
    still_open = (_TABLE.c.project_id == project_id, _TABLE.c.closed_at.is_(None))
    tx.connection.execute(update(_TABLE).where(*still_open).values(closed_at=tx.now, outcome="superseded"))


def close_review(tx: Transaction, run_id: str, outcome: str, decided_by: str = "", decision: str = "") -> None:
    """Close an open review; one that is closed stays as it is."""
    values: dict[str, Any] = {"closed_at": tx.now, "outcome": outcome, "decided_by": decided_by, "decision": decision}
    still_open = (_TABLE.c.run_id == run_id, _TABLE.c.closed_at.is_(None))
    tx.connection.execute(update(_TABLE).where(*still_open).values(values))
