"""Mails that decisions owe people, put in the same commit as the decision (law 8), and what became of each."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select, update

from data_contracts.mail import Mail
from tieout.clock import lasts
from tieout.ledger import schema
from tieout.ledger.book import Transaction
from tieout.ledger.database import in_pieces
from tieout.ledger.items import Item
from tieout.ledger.writes import adding_to

_TABLE = schema.mail
_IS_OPEN = (_TABLE.c.delivered_at.is_(None), _TABLE.c.given_up_at.is_(None))


@dataclass(frozen=True)
class Posting:
    """A mail that is ours to send, under a lease with a fencing token."""

    mail_id: int
    mail: Mail
    lease_token: int
    lease_until: datetime
    sent_before: datetime | None  # when it left already and no answer came


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
    return list(connection.execute(select(_TABLE.c.mail_id).where(*_IS_OPEN).order_by(_TABLE.c.mail_id)).scalars())


def claim(tx: Transaction, mail_id: int, lease: timedelta, deadline: timedelta) -> Posting | None:
    """Take a mail under a lease with a new token, and note that it may leave now; None while somebody else has it.

    Their lease and the longest exchange with the server, `deadline`, must be over first.
    """
    row = tx.connection.execute(select(_TABLE).where(_TABLE.c.mail_id == mail_id, *_IS_OPEN)).one_or_none()
    if row is None or (row.lease_until and lasts(row.lease_until + deadline, tx.now, lease + deadline)):
        return None
    token, until = row.lease_token + 1, tx.now + lease
    values = {"lease_token": token, "lease_until": until, "sent_at": tx.now}
    if not _change(tx, mail_id, row.lease_token, values):
        return None
    mail = Mail(
        message_id=row.message_id,
        recipient=row.recipient,
        subject=row.subject,
        body=row.body,
        written_at=row.put_at,
    )
    return Posting(mail_id, mail, token, until, row.sent_at)


def mark_delivered(tx: Transaction, ours: Posting) -> bool:
    """Note that the server took it; False when somebody else has taken it over."""
    return _settle(tx, ours, delivered_at=tx.now, problem="")


def mark_refused(tx: Transaction, ours: Posting, problem: str) -> bool:
    """Note that it will not arrive; a person is told. False when somebody else has taken it over."""
    return _settle(tx, ours, given_up_at=tx.now, problem=problem)


def give_back(tx: Transaction, ours: Posting, problem: str, **values: Any) -> bool:
    """Leave it to the next pass, with what is known of it now: `problem`, `sent_at`."""
    return _settle(tx, ours, problem=problem, **values)


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


def _settle(tx: Transaction, ours: Posting, **values: Any) -> bool:
    """Change it while it is ours, which its token tells."""
    return _change(tx, ours.mail_id, ours.lease_token, {**values, "lease_until": None})


def _change(tx: Transaction, mail_id: int, token: int, values: dict[str, Any]) -> bool:
    query = update(_TABLE).where(_TABLE.c.mail_id == mail_id, _TABLE.c.lease_token == token, *_IS_OPEN)
    return bool(tx.connection.execute(query.values(values)).rowcount)
