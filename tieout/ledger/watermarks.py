"""How far each stream was read."""

from datetime import datetime

from sqlalchemy import Connection, select

from tieout.ledger import schema
from tieout.ledger.book import Transaction
from tieout.ledger.database import to_change

# Watermarks of jobs: moved to the moment at which one came to its end.
NIGHT_JOB, PAYMENTS_JOB = "job/night", "job/payments"
_ANSWERED = "procore/{}/answered"


def watermark(connection: Connection, name: str) -> datetime | None:
    """Return how far this stream was read, or None when it never was."""
    table = schema.watermark
    query = to_change(connection, select(table.c.reached).where(table.c.name == name))
    reached: datetime | None = connection.execute(query).scalar()
    return reached


def moved_at(connection: Connection, name: str) -> datetime | None:
    """Return when this stream was read last, or None when it never was."""
    table = schema.watermark
    at: datetime | None = connection.execute(select(table.c.moved_at).where(table.c.name == name)).scalar()
    return at


def answered(project_id: int) -> str:
    """Return the name under which it is noted when Procore last showed all of a project's invoices, or refused to."""
    return _ANSWERED.format(project_id)


def silent(connection: Connection, before: datetime) -> dict[int, datetime]:
    """Return the projects that answered last before that moment, by Procore id, with when they did."""
    table, (head, tail) = schema.watermark.c, _ANSWERED.split("{}")
    rows = connection.execute(
        select(table.name, table.moved_at).where(table.name.like(f"{head}%{tail}"), table.moved_at < before)
    )
    return {int(row.name.removeprefix(head).removesuffix(tail)): row.moved_at for row in rows}


def move_watermark(tx: Transaction, name: str, reached: datetime) -> None:
    """Remember how far a stream was read; it never moves back (law 9)."""
    before = watermark(tx.connection, name)
    furthest = max(before, reached) if before else reached
    row = {"name": name, "reached": furthest, "moved_at": tx.now}
    tx.upsert(schema.watermark, ("name",), row)
