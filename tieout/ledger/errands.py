"""Errands: what is owed outside. Each is claimed under a lease, marked before it leaves, and settled after it.

Letters, mails and payments are errands. What each kind says, and how it is put, is in a module of its own.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Table, select, update

from tieout.clock import is_held
from tieout.ledger.book import Transaction
from tieout.ledger.database import in_pieces, to_change

Body = TypeVar("Body")


@dataclass(frozen=True)
class Kind:
    """Where errands of one kind are kept. All tables have the columns of an `Errand`, delivered_at and problem.

    Without given_up_at in its table an errand is owed until it is delivered. With absent_at it is sent again only
    after two looks that did not find it.
    """

    table: Table
    row_id: str
    key: str  # rows with the same value here are one errand, of which the newest says everything

    @property
    def is_open(self) -> list[ColumnElement[bool]]:
        """What is true of a row that is neither delivered nor given up."""
        ends = ("delivered_at", "given_up_at")
        return [self.table.c[name].is_(None) for name in ends if name in self.table.c]

    @property
    def how_far(self) -> list[str]:
        """The columns that say how far earlier attempts got."""
        return [name for name in ("sent_at", "absent_at") if name in self.table.c]


@dataclass(frozen=True)
class Errand(Generic[Body]):
    """One errand as it was read; once claimed it is ours while its rows bear our fencing token."""

    kind: Kind
    row_ids: tuple[int, ...]  # oldest first
    body: Body
    lease_token: int
    lease_until: datetime | None
    sent_at: datetime | None  # the last moment at which an earlier request may have left; None: surely never sent
    absent_at: datetime | None  # when the first of two looks found nothing

    def outlasts(self, moment: datetime) -> bool:
        """Whether its lease is longer than a request that ends at this moment."""
        return self.lease_until is not None and moment < self.lease_until


def open_keys(connection: Connection, kind: Kind) -> list[int]:
    """Return the keys of what is neither delivered nor given up, oldest first."""
    key = kind.table.c[kind.key]
    return list(connection.execute(select(key).where(*kind.is_open).distinct().order_by(key)).scalars())


def owed(
    connection: Connection, kind: Kind, read: Callable[[Row[Any]], Body], keys: Iterable[int]
) -> list[Errand[Body]]:
    """Return what is open of these errands, in the order of the keys.

    In a transaction PostgreSQL locks the rows. What another one holds is passed over, but for rows that belong
    together: those are waited for, as an errand must not be taken in part.
    """
    row_id, key = kind.table.c[kind.row_id], kind.table.c[kind.key]
    found: dict[int, list[Row[Any]]] = {}
    for piece in in_pieces(sorted(keys)):
        query = select(kind.table).where(key.in_(piece), *kind.is_open).order_by(key, row_id)
        for row in connection.execute(to_change(connection, query, skip_locked=key is row_id)):
            found.setdefault(row._mapping[key], []).append(row)
    return [_errand(kind, rows, read) for rows in found.values()]


def _errand(kind: Kind, rows: Sequence[Row[Any]], read: Callable[[Row[Any]], Body]) -> Errand[Body]:
    newest = rows[-1]
    return Errand(
        kind,
        tuple(row._mapping[kind.row_id] for row in rows),
        read(newest),
        max(row.lease_token for row in rows),
        max((row.lease_until for row in rows if row.lease_until), default=None),
        newest.sent_at,
        newest._mapping.get("absent_at"),
    )


def claim(
    tx: Transaction, errands: Iterable[Errand[Body]], lease: timedelta, deadline: timedelta
) -> list[Errand[Body]]:
    """Take errands that this transaction has read, under a lease with a new fencing token.

    What somebody else holds is left to them until their lease is over and the longest request, `deadline`, as well.
    """
    claimed = []
    for each in errands:
        if is_held(each.lease_until, tx.now, lease, deadline):
            continue
        taken = replace(each, lease_token=each.lease_token + 1, lease_until=tx.now + lease)
        values = {"lease_token": taken.lease_token, "lease_until": taken.lease_until}
        for row_id in each.row_ids:
            tx.update(each.kind.table, {each.kind.row_id: row_id}, values, row_id)
        claimed.append(taken)
    return claimed


def mark_sent(tx: Transaction, ours: Errand[Body], lease: timedelta) -> Errand[Body] | None:
    """Note that a request may leave now, and let the lease begin again; None when somebody else has taken it over."""
    until = tx.now + lease
    now = dict.fromkeys(ours.kind.how_far) | {"sent_at": tx.now, "lease_until": until}
    return replace(ours, lease_until=until) if _change(tx, ours, **now) else None


def mark_delivered(tx: Transaction, ours: Errand[Any], **known: int) -> bool:
    """Note that it arrived, and what is known of it there; False when somebody else has taken it over."""
    return _change(tx, ours, delivered_at=tx.now, problem="", lease_until=None, **known)


def mark_refused(tx: Transaction, ours: Errand[Any], problem: str) -> bool:
    """Note that it was refused for good, which a person must see; False when somebody else has taken it over."""
    return _change(tx, ours, given_up_at=tx.now, problem=problem, lease_until=None)


def give_back(tx: Transaction, ours: Errand[Any], problem: str | None = None, **how_far: datetime | None) -> bool:
    """Leave it to the next pass; what is not given stays as it is. False when somebody else has taken it over."""
    words = {} if problem is None else {"problem": problem}
    return _change(tx, ours, lease_until=None, **words, **how_far)


def give_back_unsent(tx: Transaction, ours: Errand[Any], problem: str | None = None) -> bool:
    """Leave it to the next pass as it was before it was marked: surely nothing left."""
    return give_back(tx, ours, problem, **{name: getattr(ours, name) for name in ours.kind.how_far})


def _change(tx: Transaction, ours: Errand[Any], **values: Any) -> bool:
    """Change it while it is open and ours, which its token tells."""
    table = ours.kind.table
    rows = (table.c[ours.kind.row_id].in_(ours.row_ids), table.c.lease_token == ours.lease_token)
    return tx.connection.execute(update(table).where(*rows, *ours.kind.is_open).values(values)).rowcount > 0
