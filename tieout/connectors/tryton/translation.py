"""Vouchers in Tryton's words, and Tryton's records in ours. No I/O."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from data_contracts.text import plain
from data_contracts.voucher import ErpInvoice, ErpState, Payment, Voucher, VoucherLine
from tieout.connectors.base import parse_key
from tieout.connectors.tryton.settings import SYSTEM, Settings
from tieout.connectors.tryton.values import Row
from tieout.errors import ContractError

_BATCH = re.compile(r"^Batch (\S+)$", re.MULTILINE)
_STATES: dict[str, ErpState] = {
    "draft": "unposted",
    "validated": "unposted",
    "posted": "posted",
    "paid": "posted",
    "cancelled": "void",
}
_NOT_ISSUED = ("draft", "submitted", "approved")  # the states of a payment that may be given up without a trace
_IS_VOID = {"processing": False, "succeeded": False, "failed": True}
SIGNED = ("confirmed", "processing")  # the states of a purchase that may be billed
# Field, its source in words, its value: `field_mapping` makes the documentation of it. Records are named by their
# codes here; `Codes` puts Tryton's own ids in their place.
_HEADER: dict[str, tuple[str, Callable[[Voucher], Any]]] = {
    "type": ("always in, a supplier invoice", lambda v: "in"),
    "company": ("company of the settings", lambda v: v.company_erp),
    "party": ("vendor, mapped", lambda v: v.vendor_erp),
    "reference": ("invoice number", lambda v: v.invoice_number),
    "description": ("key: Procore company and invoice id", lambda v: v.key),
    "invoice_date": ("billing date", lambda v: v.invoice_on),
    "accounting_date": ("accounting date, in the open period", lambda v: v.accounting_on),
    "currency": ("currency of the invoice", lambda v: v.currency),
    "comment": (
        "batch, the week-ending day of the sync, and provenance",
        lambda v: f"Batch {v.batch_code}\n{v.source}",
    ),
}
_LINE: dict[str, tuple[str, Callable[[Voucher, VoucherLine], Any]]] = {
    "origin": (
        "the subcontract's line of this phase and cost type",
        lambda v, line: f"{v.contract_erp}/{line.phase}/{line.cost_type}",
    ),
    "product": ("line item type, mapped: the product of that code", lambda v, line: line.cost_type),
    "account": ("expense account of that product's accounting category", lambda v, line: line.gl_account),
    "description": ("line description, first 200 characters", lambda v, line: plain(line.description, 200)),
    "quantity": ("always 1", lambda v, line: 1),
    "unit_price": ("work + (stored now - stored before) + moved", lambda v, line: _money(line.amount)),
    "analytic_accounts.job": ("project, mapped", lambda v, line: line.job),
    "analytic_accounts.phase": ("cost code, mapped", lambda v, line: line.phase),
    "analytic_accounts.cost_type": ("line item type, mapped", lambda v, line: line.cost_type),
}
_RETENTION: dict[str, tuple[str, Callable[[Voucher], Any]]] = {
    "description": ("always Retention held", lambda v: "Retention held"),
    "quantity": ("always -1", lambda v: -1),
    "unit_price": ("retainage held this period", lambda v: _money(v.retention)),
}


def field_mapping() -> list[tuple[str, str]]:
    """Return every field that is sent, with where it comes from: the documentation is generated from this."""
    header = [(name, words) for name, (words, _) in _HEADER.items()]
    lines = [(f"lines.{name}", words) for name, (words, _) in _LINE.items()]
    kept = [(f"retention line.{name}", words) for name, (words, _) in _RETENTION.items()]
    return [*header, *lines, *kept, ("retention line.account", "retention_account of the settings")]


def to_wire(voucher: Voucher, settings: Settings) -> Row:
    """Return the record of a voucher, with codes where Tryton has ids of its own."""
    document = {name: value(voucher) for name, (_, value) in _HEADER.items()}
    document["lines"] = [_line_to_wire(voucher, line) for line in voucher.lines]
    if voucher.retention:
        held = {name: value(voucher) for name, (_, value) in _RETENTION.items()}
        document["lines"].append({"account": settings.retention_account, **held})
    return document


def _line_to_wire(voucher: Voucher, line: VoucherLine) -> Row:
    document: Row = {}
    for name, (_, value) in _LINE.items():
        group, _, field = name.rpartition(".")
        target = document.setdefault(group, {}) if group else document
        target[field] = value(voucher, line)
    return document


def from_wire(row: Row, company_erp: str, contracts: Mapping[int, str], retained: Mapping[int, Decimal]) -> ErpInvoice:
    """Return an invoice from its record; it raises what `readable` catches."""
    key, retention = row["description"] or "", retained.get(row["id"], Decimal(0))
    batch = _BATCH.search(row["comment"] or "")
    return ErpInvoice(
        key=key if parse_key(key) else None,
        document_id_erp=str(row["id"]),
        company_erp=company_erp,
        vendor_erp=row["party."]["code"] or "",
        contract_erp=", ".join(sorted({contracts[each] for each in row["purchases"]})) or None,
        invoice_number=row["reference"] or "",
        invoice_on=row["invoice_date"],
        batch_code=batch[1] if batch else None,
        state=_STATES[row["state"]],
        currency=row["currency."]["code"],
        gross=row["untaxed_amount"] + retention,
        retention=retention,
        changed_at=_changed_at(row),
    )


def payment_from_wire(row: Row, invoice: Row, company_erp: str) -> Payment:
    """Return a payment from its record and that of its invoice; it raises what `readable` catches."""
    is_check, is_void = row["process_method"] == "check", _IS_VOID[row["state"]]
    changed_at = _changed_at(row)
    return Payment(
        application_id_erp=str(row["id"]),
        company_erp=company_erp,
        vendor_erp=invoice["party."]["code"] or "",
        invoice_number=invoice["reference"] or "",
        check_number=(row["check_number"] if is_check else row["number"]) or "",
        method="check" if is_check else None if row["process_method"] == "manual" else "electronic",
        paid_on=row["date"],
        amount=row["amount"],
        discount=Decimal(0),
        currency=row["currency."]["code"],
        is_void=is_void,
        voided_on=changed_at.date() if is_void else None,
        changed_at=changed_at,
    )


def named(invoice: Row) -> str:
    """Return what a message calls this invoice."""
    vendor = invoice["party."] or {}
    return f"invoice {invoice['reference']} of vendor {vendor.get('code')}"


def is_issued(row: Row) -> bool:
    """Whether money left: a check with its number, or another payment whose outcome the bank told."""
    if row["state"] in _NOT_ISSUED:
        return False
    return bool(row["check_number"]) if row["process_method"] == "check" else row["state"] != "processing"


def _changed_at(row: Row) -> datetime:
    changed: datetime = row["write_date"] or row["create_date"]
    return changed.replace(tzinfo=UTC)


def changed_since(since: datetime | None) -> list[Any]:
    """Return what a search asks for; a record that was never changed has no `write_date`."""
    if since is None:
        return []
    moment = since.astimezone(UTC).replace(tzinfo=None)
    never_changed = [["write_date", "=", None], ["create_date", ">=", moment]]
    return [["OR", ["write_date", ">=", moment], never_changed]]


def _money(amount: Decimal) -> Decimal:
    if amount != amount.quantize(Decimal("0.01")):
        raise ContractError(SYSTEM, "a voucher", f"{amount} has a part of a cent")
    return amount.quantize(Decimal("0.01"))
