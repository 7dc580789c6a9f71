"""Whose turn a job is, so that two runs do not do it at the same time."""

from datetime import timedelta

from sqlalchemy import delete, select

from tieout.clock import lasts
from tieout.ledger import schema
from tieout.ledger.book import Transaction
from tieout.ledger.database import to_change


def take_turn(tx: Transaction, name: str, holder: str, lease: timedelta) -> str | None:
    """Take the turn of a job; return None, or the holder whose turn it still is."""
    table = schema.turn
    now = tx.connection.execute(to_change(tx.connection, select(table).where(table.c.name == name))).first()
    if now is not None and lasts(now.until, tx.now, lease) and now.holder != holder:
        return str(now.holder)
    tx.upsert(table, ("name",), {"name": name, "holder": holder, "until": tx.now + lease})
    return None


def end_turn(tx: Transaction, name: str, holder: str) -> None:
    """Give the turn back, if it is still ours."""
    table = schema.turn
    tx.connection.execute(delete(table).where(table.c.name == name, table.c.holder == holder))
