"""Payment applications: each row is the intent to write one payment into Procore, and later what became of it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select, update

from data_contracts.voucher import ProcorePayment
from tieout.clock import lasts
from tieout.ledger import schema, states
from tieout.ledger.book import Transaction
from tieout.ledger.database import in_pieces, to_change
from tieout.ledger.items import Item

_TABLE = schema.payment
_IS_OPEN = _TABLE.c.written_at.is_(None)


@dataclass(frozen=True, slots=True)
class Application:
    """One row as a person reads it; amounts in minor units."""

    check_number: str
    paid_on: str
    amount_minor: int
    discount_minor: int
    currency: str
    payment_id_procore: int | None
    problem: str


@dataclass(frozen=True)
class Claimed:
    """A payment that is ours to write until the lease is over, and how far earlier attempts got."""

    payment_id: int
    body: ProcorePayment
    lease_token: int
    lease_until: datetime
    sent_at: datetime | None  # the last moment at which an earlier request may have left; None: surely never sent
    absent_at: datetime | None  # when the first of two looks found nothing


def open_payment(tx: Transaction, item: Item, body: ProcorePayment, amount_minor: int, discount_minor: int) -> None:
    """Commit to writing this payment; `origin_id` is unique, so that an application is taken over once."""
    row = {
        "item_id": item.item_id,
        "project_id": item.project_id,
        "origin_id": body.origin_id,
        "amount_minor": amount_minor,
        "discount_minor": discount_minor,
        "currency": item.currency,
        "check_number": body.check_number,
        "paid_on": body.paid_on.isoformat(),
        "body": body.model_dump_json(),
        "opened_at": tx.now,
    }
    tx.insert(_TABLE, row)


def known_origins(connection: Connection, origin_ids: Iterable[str]) -> set[str]:
    """Return which of these applications were taken over before."""
    known: set[str] = set()
    for piece in in_pieces(origin_ids):
        known |= set(connection.execute(select(_TABLE.c.origin_id).where(_TABLE.c.origin_id.in_(piece))).scalars())
    return known


def may_predate_links(connection: Connection, event_id: int) -> bool:
    """Whether, after this event, an invoice was found in the ERP that we had not surely made, or was seen there again.

    Of events the order counts, not their moments: those are of several clocks.
    """
    event = schema.event.c
    is_found = event.kind.in_((states.FIND, states.ADOPT)) | (
        (event.kind == states.OBSERVE) & (event.before == states.GONE)
    )
    return (
        connection.execute(select(event.event_id).where(event.event_id > event_id, is_found).limit(1)).first()
        is not None
    )


def unwritten(connection: Connection) -> dict[tuple[int, int], list[int]]:
    """Return the ids of what Procore does not show yet, by (project, commitment) in Procore, oldest first."""
    found: dict[tuple[int, int], list[int]] = {}
    query = select(_TABLE.c.payment_id, _TABLE.c.body).where(_IS_OPEN).order_by(_TABLE.c.payment_id)
    for row in connection.execute(query):
        body = ProcorePayment.model_validate_json(row.body)
        found.setdefault((body.project_id_procore, body.commitment_id_procore), []).append(row.payment_id)
    return found


def owed(connection: Connection) -> list[ProcorePayment]:
    """Return what Procore does not show yet, oldest first."""
    query = select(_TABLE.c.body).where(_IS_OPEN).order_by(_TABLE.c.payment_id)
    return [ProcorePayment.model_validate_json(body) for body in connection.execute(query).scalars()]


def claim(tx: Transaction, payment_ids: Iterable[int], lease: timedelta, deadline: timedelta) -> list[Claimed]:
    """Take open payments under a lease with a new fencing token.

    What somebody else holds is left to them until their lease is over and the longest request, `deadline`, as well.
    """
    until, claimed = tx.now + lease, list[Claimed]()
    for piece in in_pieces(payment_ids):
        still_open = select(_TABLE).where(_TABLE.c.payment_id.in_(piece), _IS_OPEN).order_by(_TABLE.c.payment_id)
        for row in tx.connection.execute(to_change(tx.connection, still_open, skip_locked=True)).all():
            if row.lease_until is not None and lasts(row.lease_until + deadline, tx.now, lease + deadline):
                continue
            token, body = row.lease_token + 1, ProcorePayment.model_validate_json(row.body)
            values = {"lease_token": token, "lease_until": until}
            tx.update(_TABLE, {"payment_id": row.payment_id}, values, row.payment_id)
            claimed.append(Claimed(row.payment_id, body, token, until, row.sent_at, row.absent_at))
    return claimed


def mark_sent(tx: Transaction, claimed: Claimed, lease: timedelta) -> Claimed | None:
    """Note that a request may leave now, and let the lease begin again; None when somebody else has taken it over."""
    until = tx.now + lease
    is_ours = _change(tx, claimed, sent_at=tx.now, absent_at=None, lease_until=until)
    return replace(claimed, lease_until=until) if is_ours else None


def mark_written(tx: Transaction, claimed: Claimed, payment_id_procore: int) -> bool:
    """Note under which id Procore shows it; False when somebody else has taken it over."""
    return _change(tx, claimed, written_at=tx.now, payment_id_procore=payment_id_procore, problem="", lease_until=None)


def give_back(tx: Transaction, claimed: Claimed, **values: Any) -> None:
    """Leave it to the next pass, with what is known of it now: `problem`, `sent_at`, `absent_at`."""
    _change(tx, claimed, **values, lease_until=None)


def note_problem(tx: Transaction, payment_ids: Iterable[int], problem: str) -> None:
    """Note why Procore does not take them; what was written meanwhile stays written."""
    for piece in in_pieces(payment_ids):
        still_open = (_TABLE.c.payment_id.in_(piece), _IS_OPEN)
        tx.connection.execute(update(_TABLE).where(*still_open).values(problem=problem))


def applications(connection: Connection, item_id: int) -> list[Application]:
    """Return the applications of an invoice, voids included, oldest first."""
    columns = [_TABLE.c[name] for name in Application.__slots__]
    rows = connection.execute(select(*columns).where(_TABLE.c.item_id == item_id).order_by(_TABLE.c.payment_id))
    return [Application(*row) for row in rows]


def count_written(connection: Connection) -> int:
    """Return how many payments Procore shows."""
    return int(connection.execute(select(func.count(_TABLE.c.written_at))).scalar_one())


def count_unwritten(connection: Connection) -> int:
    """Return how many payments Procore does not show yet."""
    return int(connection.execute(select(func.count()).select_from(_TABLE).where(_IS_OPEN)).scalar_one())


def _change(tx: Transaction, claimed: Claimed, **values: Any) -> bool:
    """Change an open payment while it is ours, which its token tells."""
    ours = (_TABLE.c.payment_id == claimed.payment_id, _TABLE.c.lease_token == claimed.lease_token, _IS_OPEN)
    return tx.connection.execute(update(_TABLE).where(*ours).values(values)).rowcount == 1
