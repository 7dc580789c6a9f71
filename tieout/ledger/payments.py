"""Payment applications: each row is the intent to write one payment into Procore, and later what became of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, update

from data_contracts.voucher import ProcorePayment
from tieout.ledger import schema, states
from tieout.ledger.book import Item, Transaction
from tieout.ledger.records import in_pieces

_TABLE = schema.payment


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


def may_predate_links(connection: Connection, since: datetime | None) -> bool:
    """Whether, since then, an invoice was found in the ERP that we had not surely made, or was seen there again."""
    if since is None:
        return False
    table = schema.event.c
    columns = (table.at, table.kind, table.before)
    rows = connection.execution_options(yield_per=500).execute(select(*columns).order_by(table.event_id.desc()))
    for at, kind, before in rows:  # newest first, so that only what is younger is read
        if at < since:
            break
        if kind == states.FIND or (kind == states.OBSERVE and before == states.GONE):
            rows.close()
            return True
    rows.close()
    return False


def unwritten(connection: Connection) -> list[tuple[int, ProcorePayment]]:
    """Return (row id, payment) of what Procore does not show yet, oldest first."""
    query = select(_TABLE).where(_TABLE.c.written_at.is_(None)).order_by(_TABLE.c.payment_id)
    return [(row.payment_id, ProcorePayment.model_validate_json(row.body)) for row in connection.execute(query)]


def mark_written(tx: Transaction, payment_id: int, payment_id_procore: int) -> None:
    """Note under which id Procore shows it."""
    _mark(tx, [payment_id], written_at=tx.now, payment_id_procore=payment_id_procore, problem="")


def mark_problem(tx: Transaction, payment_ids: Iterable[int], problem: str) -> None:
    """Note why Procore does not take them; what was written meanwhile stays written."""
    _mark(tx, list(payment_ids), problem=problem)


def applications(connection: Connection, item_id: int) -> list[Application]:
    """Return the applications of an invoice, voids included, oldest first."""
    columns = [_TABLE.c[name] for name in Application.__slots__]
    rows = connection.execute(select(*columns).where(_TABLE.c.item_id == item_id).order_by(_TABLE.c.payment_id))
    return [Application(*row) for row in rows]


def count_written(connection: Connection) -> int:
    """Return how many payments Procore shows."""
    return int(connection.execute(select(func.count(_TABLE.c.written_at))).scalar_one())


def _mark(tx: Transaction, payment_ids: list[int], **values: Any) -> None:
    still_open = (_TABLE.c.payment_id.in_(payment_ids), _TABLE.c.written_at.is_(None))
    tx.connection.execute(update(_TABLE).where(*still_open).values(values))
