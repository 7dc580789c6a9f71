"""Which alarms ring, and since when, so that the beginning and the end of each are told once."""

from datetime import datetime

from sqlalchemy import Connection, delete, select

from tieout.ledger import schema
from tieout.ledger.book import Transaction
from tieout.ledger.writes import adding_to

_TABLE = schema.alarm


def began(connection: Connection) -> dict[str, datetime]:
    """Return since when each alarm rings, by its name."""
    return dict(connection.execute(select(_TABLE.c.name, _TABLE.c.began_at)).tuples().all())


def begin(tx: Transaction, name: str) -> bool:
    """Note that an alarm rings; False when somebody else has noted it."""
    row = {"name": name, "began_at": tx.now}
    return bool(tx.connection.execute(adding_to(tx.connection, _TABLE).values(row).on_conflict_do_nothing()).rowcount)


def end(tx: Transaction, name: str) -> bool:
    """Note that it rings no more; False when somebody else has noted it."""
    return bool(tx.connection.execute(delete(_TABLE).where(_TABLE.c.name == name)).rowcount)
