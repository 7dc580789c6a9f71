"""Take the ERP's posted payments over into the ledger, each check application once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from data_contracts.batches import check_payments
from data_contracts.money import in_words, to_minor
from data_contracts.voucher import Payment, ProcorePayment, Unreadable
from tieout.connectors.base import ERP
from tieout.errors import ContractError
from tieout.ledger import history, payments, references, states, watermarks
from tieout.ledger.book import Ledger, Transaction
from tieout.ledger.digests import digest_of
from tieout.ledger.items import Item
from tieout.ledger.links import LINKED
from tieout.office import Office
from tieout.payments import matching
from tieout.payments.matching import Entry, LinkKey
from tieout.results import Result

_OVERLAP = timedelta(minutes=10)


@dataclass(frozen=True)
class Collected(Result):
    """What a pass over the ERP's payments took over, and what it did not, in words."""

    new: int = 0
    not_shown: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What was not taken over."""
        return self.not_shown


def collect(ledger: Ledger, erp: ERP, office: Office) -> Collected:
    """Take over the payment applications that are new in the ERP."""
    system = erp.capabilities.name
    name = f"erp/{system}/payments"
    with ledger.reading() as connection:
        since, newest = watermarks.watermark(connection, name), history.newest(connection)
        if payments.may_predate_links(connection, int(references.references(connection, [name]).get(name, 0))):
            since = None  # of an invoice that was found there, payments may be older than our knowledge of it (AM-21)
    read = list(erp.payments(since - _OVERLAP if since else None))
    paid = [each for each in read if isinstance(each, Payment)]
    linked, doubts = _believed(list(matching.matched(paid, _linked(ledger, paid))), system, office)
    doubts += [f"{each.document}: {each.reason}" for each in read if isinstance(each, Unreadable)]
    entries = [(item.item_id, entry) for item, each in linked for entry in matching.entries(system, each)]
    with ledger.transaction(office.clock(), office.actor) as tx:
        # Who collects the same at this moment waits here.
        items = {item.item_id: item for item in tx.items(item_id=[item_id for item_id, _ in entries])}
        known = payments.known_origins(tx.connection, [entry.origin_id for _, entry in entries])
        new = [(items[item_id], entry) for item_id, entry in entries if entry.origin_id not in known]
        shown = [(item, entry) for item, entry in new if _may_be_shown(item, entry, known)]
        for item, entry in shown:
            minor = (to_minor(each, item.currency) for each in (entry.amount, entry.discount))
            payments.open_payment(tx, item, _body(item, entry), *minor)
        _tell_settled(tx, shown)
        changes = [each.changed_at for each in paid if each.changed_at] + ([since] if since else [])
        if changes and not doubts:  # what cannot be believed is read, and told, again until it is mended
            watermarks.move_watermark(tx, name, max(changes))
        references.store_reference(tx, name, str(newest))
        watermarks.move_watermark(tx, watermarks.PAYMENTS_JOB, tx.now)  # R75: that it runs at all is watched
    kept_back = [_not_shown(item, entry) for item, entry in new if (item, entry) not in shown]
    return Collected(len(shown), (*kept_back, *doubts))


def _believed(
    linked: Sequence[tuple[Item, Payment]], system: str, office: Office
) -> tuple[list[tuple[Item, Payment]], list[str]]:
    """Return the payments that keep their contract, and why the others are left out."""
    paid, currencies = [each for _, each in linked], [item.currency for item, _ in linked]
    sound, told = check_payments(paid, currencies, system.capitalize(), office.clock().date())
    doubts = [f"invoice {linked[each.at][0].number}: {each.finding.message} {each.finding.remedy}" for each in told]
    return [linked[at] for at in sound], doubts


def foresee(ledger: Ledger, erp: ERP, office: Office) -> list[ProcorePayment]:
    """Return what would be written to Payments Issued now; nothing is taken over and nothing written."""
    with ledger.rehearsal():
        collect(ledger, erp, office)
        with ledger.reading() as connection:
            return [each.body for each in payments.owed(connection)]


def _tell_settled(tx: Transaction, new: Sequence[tuple[Item, Entry]]) -> None:
    """Have the chain of each invoice tell what was taken over, and what it is settled by now."""
    items = {item.item_id: item for item in tx.items(item_id=[item.item_id for item, _ in new])}
    for found, entry in new:
        item = items[found.item_id]
        amount, discount = (to_minor(each, item.currency) for each in (entry.amount, entry.discount))
        because = {"origin_id": entry.origin_id, "amount_minor": amount, "discount_minor": discount}
        because["body"] = digest_of(_body(item, entry).model_dump_json())
        settled = item.settled_minor + amount + discount
        items[item.item_id] = tx.move(item, states.PAY, item.state, because, settled_minor=settled)


def _linked(ledger: Ledger, paid: Sequence[Payment]) -> dict[LinkKey, Item]:
    numbers = {each.invoice_number for each in paid}
    found = ledger.items(number_erp=numbers, state=(*LINKED, states.UNLINKED)) if numbers else []
    return {(item.company_erp, item.vendor_erp or "", item.number_erp or ""): item for item in found}


def _may_be_shown(item: Item, entry: Entry, known: set[str]) -> bool:
    """Whether Procore is told: of an invoice that is gone from the ERP it is told only that a payment was voided."""
    return item.state in states.IN_ERP or (item.state == states.GONE and entry.reverses in known)


def _not_shown(item: Item, entry: Entry) -> str:
    amount = in_words(entry.amount, item.currency)
    return (
        f"payment {entry.payment.check_number} of {amount} is on invoice {item.number}, which is {item.state}: "
        "tieout does not show it in Procore; check in the ERP what was paid"
    )


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
