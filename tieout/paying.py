"""Bring the ERP's posted payments back to Procore's Payments Issued, one row per check application, each once."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import func, insert, select, update

from data_contracts.money import to_minor
from data_contracts.voucher import ErpInvoice, Payment, ProcorePayment
from tieout import matching, settings
from tieout.connectors.base import ERP
from tieout.connectors.procore import Procore
from tieout.errors import ContractError, RefusedError, TransientError, UnconfirmedError
from tieout.ledger import records, schema, states
from tieout.ledger.book import Item, Ledger, Transaction
from tieout.ledger.intents import live_intents, note_absence
from tieout.matching import Entry, LinkKey

Clock = Callable[[], datetime]
_OVERLAP = timedelta(minutes=10)
_TABLE = schema.payment


@dataclass(frozen=True)
class Written:
    """What a pass over the open payments did."""

    written: int = 0
    found: int = 0
    problems: tuple[str, ...] = ()
    is_interrupted: bool = False  # Procore was away: the task tries again


def collect(ledger: Ledger, erp: ERP, clock: Clock, actor: str) -> int:
    """Take over the payment applications that are new in the ERP; returns how many rows Procore will get."""
    name = f"erp/{settings.company().erp}/payments"
    with ledger.reading() as connection:
        since = records.watermark(connection, name)
    payments = list(erp.payments(since - _OVERLAP if since else None))
    links, items = _links(ledger, payments)
    new = 0
    with ledger.transaction(clock(), actor) as tx:
        known = _known_origins(tx, settings.company().erp, payments)
        for item_id, payment in matching.matched(payments, links):
            for entry in matching.entries(settings.company().erp, payment):
                if entry.origin_id not in known:
                    _open(tx, items[item_id], entry)
                    new += 1
            tx.note(items[item_id], settled_minor=_settled(tx, item_id))
        if changes := [payment.changed_at for payment in payments if payment.changed_at]:
            records.move_watermark(tx, name, max(changes))
    return new


def observe(ledger: Ledger, erp: ERP, clock: Clock, actor: str) -> dict[str, int]:
    """Look at every link that is not paid in full: posted, paid, or gone after two looks that find nothing."""
    watched = (*states.IN_ERP, states.GONE)
    counts: Counter[str] = Counter()
    for piece in records.in_pieces(ledger.items(schema.item.c.state.in_(watched)), 500):
        with ledger.reading() as connection:
            intents = live_intents(connection, piece)
        found = erp.find([intent.voucher for intent in intents.values()])
        with ledger.transaction(clock(), actor) as tx:
            for intent in intents.values():
                there = [each for each in found.get(intent.voucher.key, []) if each.state != "void"]
                after = _observed(tx, erp, intent.item, there, intent.absent_at)
                counts[after.state] += after.state != intent.item.state
    return {state: count for state, count in counts.items() if count}


def write(ledger: Ledger, procore: Procore, clock: Clock) -> Written:
    """Write the open payments, after looking for our origin_id on each commitment."""
    with ledger.reading() as connection:
        query = select(_TABLE).where(_TABLE.c.written_at.is_(None)).order_by(_TABLE.c.payment_id)
        rows = connection.execute(query).all()
    by_commitment: dict[tuple[int, int], list[Any]] = {}
    for row in rows:
        body = ProcorePayment.model_validate_json(row.body)
        by_commitment.setdefault((row.project_id, body.commitment_id_procore), []).append((row.payment_id, body))
    written, found, problems, is_interrupted = 0, 0, [], False
    for (project_id, commitment_id), payments in by_commitment.items():
        try:
            there = _there(procore, project_id, commitment_id)
            for payment_id, body in payments:
                if body.origin_id in there:
                    found += 1
                else:
                    there |= _write_one(procore, body)
                    written += 1
                _mark(
                    ledger, clock, payment_id, written_at=clock(), payment_id_procore=there[body.origin_id], problem=""
                )
        except (RefusedError, ContractError) as error:
            problems.append(str(error))
            _mark(ledger, clock, *(payment_id for payment_id, _ in payments), problem=str(error))
        except (TransientError, UnconfirmedError):
            is_interrupted = True
    return Written(written, found, tuple(problems), is_interrupted)


def open_payments(ledger: Ledger) -> int:
    """Return how many payments Procore has not been told of yet."""
    with ledger.reading() as connection:
        query = select(func.count()).select_from(_TABLE).where(_TABLE.c.written_at.is_(None))
        return int(connection.execute(query).scalar_one())


def _write_one(procore: Procore, body: ProcorePayment) -> dict[str, int]:
    try:
        return {body.origin_id: procore.record_payment(body)}
    except UnconfirmedError:
        there = _there(procore, body.project_id_procore, body.commitment_id_procore)
        if body.origin_id in there:
            return there
        raise  # it may still arrive: the next pass looks again before it writes


def _there(procore: Procore, project_id: int, commitment_id: int) -> dict[str, int]:
    rows = procore.payments(project_id, commitment_id)
    return {row.origin_id: row.payment_id_procore for row in rows if row.origin_id}


def _mark(ledger: Ledger, clock: Clock, *payment_ids: int, **values: Any) -> None:
    with ledger.transaction(clock(), "payments") as tx:
        # Only rows that are still open: a payment written before its neighbour was refused stays written.
        still_open = (_TABLE.c.payment_id.in_(payment_ids), _TABLE.c.written_at.is_(None))
        tx.connection.execute(update(_TABLE).where(*still_open).values(values))


def _links(ledger: Ledger, payments: Sequence[Payment]) -> tuple[dict[LinkKey, int], dict[int, Item]]:
    table = schema.item.c
    items: dict[int, Item] = {}
    for piece in records.in_pieces({payment.vendor_erp for payment in payments}):
        linked = ledger.items(table.vendor_erp.in_(piece), table.state.in_(states.IN_ERP))
        items |= {item.item_id: item for item in linked}
    links = {(item.company_erp, item.vendor_erp or "", item.number_erp or ""): item.item_id for item in items.values()}
    return links, items


def _known_origins(tx: Transaction, erp: str, payments: Iterable[Payment]) -> set[str]:
    origins = [entry.origin_id for payment in payments for entry in matching.entries(erp, payment)]
    known: set[str] = set()
    for piece in records.in_pieces(origins):
        known |= set(tx.connection.execute(select(_TABLE.c.origin_id).where(_TABLE.c.origin_id.in_(piece))).scalars())
    return known


def _open(tx: Transaction, item: Item, entry: Entry) -> None:
    payment, commitment_id = entry.payment, item.commitment_id
    if commitment_id is None:
        raise ContractError("Ledger", f"invoice {item.number}", "an exported invoice has no commitment")
    body = ProcorePayment(
        project_id_procore=item.project_id,
        commitment_id_procore=commitment_id,
        invoice_id_procore=item.invoice_id,
        invoice_sequence=item.sequence or 0,
        amount=entry.amount,
        paid_on=date.fromisoformat(entry.paid_on),
        check_number=payment.check_number,
        method=payment.method,
        invoice_number=payment.invoice_number,
        notes=entry.notes,
        origin_id=entry.origin_id,
    )
    row = {
        "item_id": item.item_id,
        "project_id": item.project_id,
        "origin_id": entry.origin_id,
        "amount_minor": to_minor(entry.amount, payment.currency),
        "discount_minor": to_minor(entry.discount, payment.currency),
        "currency": payment.currency,
        "check_number": payment.check_number,
        "paid_on": entry.paid_on,
        "body": body.model_dump_json(),
        "opened_at": tx.now,
    }
    tx.connection.execute(insert(_TABLE).values(row))


def _settled(tx: Transaction, item_id: int) -> int:
    query = select(func.coalesce(func.sum(_TABLE.c.amount_minor + _TABLE.c.discount_minor), 0))
    return int(tx.connection.execute(query.where(_TABLE.c.item_id == item_id)).scalar_one())


def _observed(tx: Transaction, erp: ERP, item: Item, there: Sequence[ErpInvoice], absent_at: datetime | None) -> Item:
    if not there:
        if absent_at is None:
            note_absence(tx, item, tx.now)
            return item
        if item.state == states.GONE or tx.now - absent_at < erp.capabilities.settles_within:
            return item
        return tx.move(item, states.OBSERVE, states.GONE, {"why": "absent or void in two looks"})
    if absent_at is not None:
        note_absence(tx, item, None)
    due = item.gross_minor - item.held_minor
    now = matching.stage(there[0].state == "posted", item.settled_minor, due)
    if now == item.state:
        return item
    return tx.move(item, states.OBSERVE, now, {"state in the ERP": there[0].state, "settled": item.settled_minor})
