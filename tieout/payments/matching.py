"""Which ERP payment settles which invoice, and how far an invoice is settled. Pure; no database, no network."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TypeVar

from data_contracts.voucher import Payment

LinkKey = tuple[str, str, str]  # ERP company, vendor, invoice number
Linked = TypeVar("Linked")


@dataclass(frozen=True)
class Entry:
    """One row for Payments Issued: an application of a check, or the reversal of one (A10)."""

    origin_id: str
    payment: Payment
    amount: Decimal
    discount: Decimal
    paid_on: date
    notes: str
    reverses: str = ""  # the origin_id of the payment that this one takes back


def link_key(payment: Payment) -> LinkKey:
    """Return what ties a payment to an invoice; of those that are not void an ERP holds one of a vendor's number."""
    return payment.company_erp, payment.vendor_erp, payment.invoice_number


def entries(erp: str, payment: Payment) -> Iterator[Entry]:
    """Yield what Payments Issued shows of one application: the payment and, when it was voided, its reversal."""
    origin_id = f"{erp}:{payment.company_erp}:{payment.application_id_erp}"
    kind = "" if payment.kind == "progress" else "Retention. "
    discount = f"Discount taken {payment.discount}. " if payment.discount else ""
    joint = f"Joint check with {payment.joint_payee}. " if payment.joint_payee else ""
    notes = f"{kind}{discount}{joint}Paid in the ERP."
    yield Entry(origin_id, payment, payment.amount, payment.discount, payment.paid_on, notes)
    if payment.is_void:
        voided_on = payment.voided_on or payment.paid_on
        notes = f"Void of {payment.check_number} in the ERP."
        yield Entry(f"{origin_id}:void", payment, -payment.amount, -payment.discount, voided_on, notes, origin_id)


def matched(payments: Iterable[Payment], links: Mapping[LinkKey, Linked]) -> Iterator[tuple[Linked, Payment]]:
    """Yield each payment with the invoice that it settles; those of hand-keyed invoices match nothing (R73, R74)."""
    for payment in payments:
        linked = links.get(link_key(payment))
        if linked is not None:
            yield linked, payment


def stage(is_posted: bool, settled_minor: int, due_minor: int) -> str:
    """Return the state that an invoice in the ERP is in by its posting and what settled it (cash and discount)."""
    if not is_posted:
        return "EXPORTED"
    if settled_minor >= due_minor > 0:
        return "PAID"
    return "PART_PAID" if settled_minor > 0 else "POSTED"
