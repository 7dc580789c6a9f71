"""Payment applications: each row is the intent to write one payment into Procore, and later what became of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from sqlalchemy import Connection, func, select, update

from data_contracts.voucher import ProcorePayment
from tieout.ledger import errands, schema, states
from tieout.ledger.book import Transaction
from tieout.ledger.database import in_pieces
from tieout.ledger.errands import Errand, Kind
from tieout.ledger.items import Item

_TABLE = schema.payment
_KIND = Kind(_TABLE, row_id="payment_id", key="payment_id")
Claimed: TypeAlias = Errand[ProcorePayment]


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
    for each in owed(connection):
        found.setdefault((each.body.project_id_procore, each.body.commitment_id_procore), []).extend(each.row_ids)
    return found


def owed(connection: Connection, payment_ids: Iterable[int] | None = None) -> list[Claimed]:
    """Return what Procore does not show yet, of all payments or of these, oldest first."""
    payment_ids = errands.open_keys(connection, _KIND) if payment_ids is None else payment_ids
    return errands.owed(connection, _KIND, lambda row: ProcorePayment.model_validate_json(row.body), payment_ids)


def claim(tx: Transaction, payment_ids: Iterable[int], lease: timedelta, deadline: timedelta) -> list[Claimed]:
    """Take open payments, as far as nobody holds them."""
    return errands.claim(tx, owed(tx.connection, payment_ids), lease, deadline)


def mark_written(tx: Transaction, ours: Claimed, payment_id_procore: int) -> bool:
    """Note under which id Procore shows it; False when somebody else has taken it over."""
    return errands.mark_delivered(tx, ours, payment_id_procore=payment_id_procore)


def note_problem(tx: Transaction, payment_ids: Iterable[int], problem: str) -> None:
    """Note why Procore does not take them; what was written meanwhile stays written."""
    for piece in in_pieces(payment_ids):
        still_open = (_TABLE.c.payment_id.in_(piece), *_KIND.is_open)
        tx.connection.execute(update(_TABLE).where(*still_open).values(problem=problem))


def applications(connection: Connection, item_id: int) -> list[Application]:
    """Return the applications of an invoice, voids included, oldest first."""
    columns = [_TABLE.c[name] for name in Application.__slots__]
    rows = connection.execute(select(*columns).where(_TABLE.c.item_id == item_id).order_by(_TABLE.c.payment_id))
    return [Application(*row) for row in rows]


def count_written(connection: Connection) -> int:
    """Return how many payments Procore shows."""
    return int(connection.execute(select(func.count(_TABLE.c.delivered_at))).scalar_one())


def count_unwritten(connection: Connection) -> int:
    """Return how many payments Procore does not show yet."""
    return int(connection.execute(select(func.count()).select_from(_TABLE).where(*_KIND.is_open)).scalar_one())
