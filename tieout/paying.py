"""Bring the ERP's posted payments back to Procore's Payments Issued, one row per check application, each once."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from data_contracts.money import to_minor
from data_contracts.voucher import Payment, ProcorePayment
from tieout import matching, settings
from tieout.connectors.base import ERP
from tieout.connectors.procore import Procore
from tieout.errors import ContractError, RefusedError, TransientError, UnconfirmedError
from tieout.ledger import payments, records, states
from tieout.ledger.book import Item, Ledger, Transaction
from tieout.matching import Entry, LinkKey

Clock = Callable[[], datetime]
_OVERLAP = timedelta(minutes=10)


@dataclass(frozen=True)
class Written:
    """What a pass over the open payments did."""

    written: int = 0
    found: int = 0
    problems: tuple[str, ...] = ()
    is_interrupted: bool = False  # Procore was away: the task tries again


def collect(ledger: Ledger, erp: ERP, clock: Clock, actor: str) -> int:
    """Take over the payment applications that are new in the ERP; returns how many rows Procore will get."""
    system = settings.company().erp
    name = f"erp/{system}/payments"
    with ledger.reading() as connection:
        since = records.watermark(connection, name)
        if payments.may_predate_links(connection, records.moved_at(connection, name)):
            since = None  # of an invoice that was found there, payments may be older than our knowledge of it (AM-21)
    paid = list(erp.payments(since - _OVERLAP if since else None))
    items = _exported(ledger, paid)
    owed = [(item, matching.entries(system, each)) for item, each in matching.matched(paid, items)]
    entries = [(item, entry) for item, rows in owed for entry in rows]
    with ledger.transaction(clock(), actor) as tx:
        known = payments.known_origins(tx.connection, [entry.origin_id for _, entry in entries])
        new = [(item, entry) for item, entry in entries if entry.origin_id not in known]
        for item, entry in new:
            minor = (to_minor(each, item.currency) for each in (entry.amount, entry.discount))
            payments.open_payment(tx, item, _body(item, entry), *minor)
        _tell_settled(tx, new)
        changes = [each.changed_at for each in paid if each.changed_at] + ([since] if since else [])
        if changes:
            records.move_watermark(tx, name, max(changes))
        records.move_watermark(tx, records.PAYMENTS_JOB, tx.now)  # R75: that it runs at all is watched
    return len(new)


def write(ledger: Ledger, procore: Procore, clock: Clock) -> Written:
    """Write the open payments, after looking for our origin_id on each commitment."""
    with ledger.reading() as connection:
        rows = payments.unwritten(connection)
    by_commitment: dict[tuple[int, int], list[tuple[int, ProcorePayment]]] = {}
    for row_id, body in rows:
        by_commitment.setdefault((body.project_id_procore, body.commitment_id_procore), []).append((row_id, body))
    done: Counter[str] = Counter()
    problems: list[str] = []
    closed: dict[int, str] = {}  # projects whose Commitments or Payments Issued tool is off, found by looking (R9, R10)
    for (project_id, _), owed in by_commitment.items():
        try:
            if project_id not in closed:
                problems += _write_commitment(ledger, procore, owed, clock, done)
        except RefusedError as refusal:
            closed[project_id] = str(refusal)
            problems.append(f"project {project_id} passed over: {refusal}")
        except ContractError as error:
            problems.append(str(error))
            with ledger.transaction(clock(), "payments") as tx:
                payments.mark_problem(tx, [row_id for row_id, _ in owed], str(error))
        except (TransientError, UnconfirmedError):
            done["interrupted"] += 1
        if project_id in closed:
            with ledger.transaction(clock(), "payments") as tx:
                payments.mark_problem(tx, [row_id for row_id, _ in owed], closed[project_id])
    return Written(done["written"], done["found"], tuple(problems), done["interrupted"] > 0)


def _tell_settled(tx: Transaction, new: Sequence[tuple[Item, Entry]]) -> None:
    """Have the chain of each invoice tell what was taken over, and what it is settled by now."""
    owed: dict[int, list[Entry]] = {}
    for item, entry in new:
        owed.setdefault(item.item_id, []).append(entry)
    for item in tx.items(item_id=list(owed)):
        because = {entry.origin_id: f"{entry.amount} and {entry.discount} discount" for entry in owed[item.item_id]}
        settled = payments.settled_minor(tx.connection, item.item_id)
        tx.move(item, states.PAY, item.state, because, settled_minor=settled)


def _write_commitment(
    ledger: Ledger, procore: Procore, owed: Sequence[tuple[int, ProcorePayment]], clock: Clock, done: Counter[str]
) -> list[str]:
    """Write what one commitment is owed; a row that is refused keeps no other one back."""
    there, problems = _there(procore, owed[0][1]), []
    for row_id, body in owed:
        outcome = "found" if body.origin_id in there else "written"
        try:
            if outcome == "written":
                there |= _write_one(procore, body)
        except RefusedError as refusal:
            there |= _there(procore, body)  # refused, perhaps, because another one has just written it
            outcome = "found" if body.origin_id in there else "refused"
            if outcome == "refused":
                problems.append(str(refusal))
        with ledger.transaction(clock(), "payments") as tx:
            if outcome == "refused":
                payments.mark_problem(tx, [row_id], problems[-1])
            else:
                payments.mark_written(tx, row_id, there[body.origin_id])
        done[outcome] += 1
    return problems


def open_payments(ledger: Ledger) -> int:
    """Return how many payments Procore has not been told of yet."""
    with ledger.reading() as connection:
        return len(payments.unwritten(connection))


def _write_one(procore: Procore, body: ProcorePayment) -> dict[str, int]:
    try:
        return {body.origin_id: procore.record_payment(body)}
    except UnconfirmedError:
        there = _there(procore, body)
        if body.origin_id in there:
            return there
        raise  # it may still arrive: the next pass looks again before it writes


def _there(procore: Procore, like: ProcorePayment) -> dict[str, int]:
    rows = procore.payments(like.project_id_procore, like.commitment_id_procore)
    return {row.origin_id: row.payment_id_procore for row in rows if row.origin_id}


def _exported(ledger: Ledger, paid: Sequence[Payment]) -> dict[LinkKey, Item]:
    vendors = {each.vendor_erp for each in paid}
    linked = ledger.items(vendor_erp=vendors, state=states.IN_ERP) if vendors else []
    return {(item.company_erp, item.vendor_erp or "", item.number_erp or ""): item for item in linked}


def _body(item: Item, entry: Entry) -> ProcorePayment:
    if item.commitment_id is None:
        raise ContractError("Ledger", f"invoice {item.number}", "an exported invoice has no commitment")
    return ProcorePayment(
        project_id_procore=item.project_id,
        commitment_id_procore=item.commitment_id,
        invoice_id_procore=item.invoice_id,
        invoice_sequence=item.sequence or 0,
        amount=entry.amount,
        paid_on=entry.paid_on,
        check_number=entry.payment.check_number,
        method=entry.payment.method,
        invoice_number=entry.payment.invoice_number,
        notes=entry.notes,
        origin_id=entry.origin_id,
    )
