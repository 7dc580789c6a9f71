"""Mails that decisions owe people, put in the same commit as the decision (law 8), and what became of each."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from sqlalchemy import Connection, Row, select

from data_contracts.mail import Mail
from tieout.ledger import errands, schema
from tieout.ledger.book import Transaction
from tieout.ledger.database import in_pieces
from tieout.ledger.errands import Errand, Kind
from tieout.ledger.items import Item
from tieout.ledger.writes import adding_to

_TABLE = schema.mail
_KIND = Kind(_TABLE, row_id="mail_id", key="mail_id")
Posting: TypeAlias = Errand[Mail]


def put(
    tx: Transaction, key: str, recipients: Iterable[str], sender: str, subject: str, body: str, item: Item | None = None
) -> None:
    """Owe a mail to each of these addresses; the same news, by its `key`, is owed to nobody twice."""
    frozen = {"key": key, "subject": subject, "body": body, "put_at": tx.now, "item_id": item and item.item_id}
    for recipient in recipients:
        name = hashlib.sha256("\n".join((key, recipient, subject, body)).encode()).hexdigest()[:32]
        row = {**frozen, "recipient": recipient, "message_id": f"<{name}@{sender.rpartition('@')[2]}>"}
        tx.connection.execute(adding_to(tx.connection, _TABLE).values(row).on_conflict_do_nothing())


def open_ids(connection: Connection) -> list[int]:
    """Return what is neither delivered nor given up, oldest first."""
    return errands.open_keys(connection, _KIND)


def claim(tx: Transaction, mail_id: int, lease: timedelta, deadline: timedelta) -> Posting | None:
    """Take a mail and note that it may leave now; None while somebody else has it."""
    waiting = errands.owed(tx.connection, _KIND, _mail, [mail_id])
    claimed = errands.claim(tx, waiting, lease, deadline)
    return errands.mark_sent(tx, claimed[0], lease) if claimed else None


def of_items(connection: Connection, item_ids: Sequence[int]) -> list[tuple[int, datetime, str, str]]:
    """Return of each mail about one of these items: which item, when it was put, to whom, and how it stands."""
    found = []
    for piece in in_pieces(item_ids):
        query = select(_TABLE).where(_TABLE.c.item_id.in_(piece)).order_by(_TABLE.c.mail_id)
        found += [(row.item_id, row.put_at, row.recipient, _stands(row)) for row in connection.execute(query)]
    return found


def _stands(row: Any) -> str:
    if row.delivered_at:
        return "sent"
    return f"not sent: {row.problem}" if row.given_up_at else f"waits {row.problem}".strip()


def _mail(row: Row[Any]) -> Mail:
    return Mail(
        message_id=row.message_id,
        recipient=row.recipient,
        subject=row.subject,
        body=row.body,
        written_at=row.put_at,
    )
