"""Vouchers in Spectrum's words, and Spectrum's rows in ours. No I/O."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel

from data_contracts.reference import ErpJob, ErpPhase, ErpSubcontract, ErpVendor
from data_contracts.text import plain
from data_contracts.voucher import Created, ErpInvoice, ErpState, Outcome, Payment, Refused, Voucher, VoucherLine
from tieout.connectors.base import parse_key
from tieout.connectors.spectrum.settings import SYSTEM, Settings
from tieout.errors import ContractError

Row = Any  # of a table of Info-Link: its columns are attributes

# Field, its source in words, its value: `field_mapping` makes the documentation of it.
_HEADER: dict[str, tuple[str, Callable[[Voucher], str]]] = {
    "Company_Code": ("company_code of the settings", lambda v: v.company_erp),
    "Vendor_Code": ("vendor, mapped", lambda v: v.vendor_erp),
    "Invoice_Number": ("invoice number", lambda v: v.invoice_number),
    "Invoice_Type_Code": ("always I, an invoice", lambda v: "I"),
    "Approval_Status": ("always A: entered, unposted", lambda v: "A"),
    "GL_Date": ("accounting date, in the open period", lambda v: _day(v.accounting_on)),
    "Invoice_Date": ("billing date", lambda v: _day(v.invoice_on)),
    "Invoice_Amount": ("sum of the lines, retention included", lambda v: _money(v.gross)),
    "Contract_Number": ("commitment, mapped", lambda v: v.contract_erp),
    "Retention_Amount": ("retainage held this period", lambda v: _money(v.retention)),
    "Batch_Code": ("week-ending day of the sync", lambda v: v.batch_code),
    "Status": ("O, open; H, on hold, where a paper is missing and the policy says so", lambda v: "OH"[v.holds_payment]),
    "Payment_Status": ("always U, unpaid", lambda v: "U"),
    "Remarks": ("key: Procore company and invoice id", lambda v: v.key),
}
_DETAIL: dict[str, tuple[str, Callable[[Voucher, VoucherLine], str | None]]] = {
    "Distribution.Company_Code": ("company_code of the settings", lambda v, line: v.company_erp),
    "Distribution.GL_Account": ("cost type's account in Spectrum", lambda v, line: line.gl_account),
    "Item_Description": ("line description, first 35 characters", lambda v, line: plain(line.description, 35)),
    "Amount": ("work + (stored now - stored before) + moved", lambda v, line: _money(line.amount)),
    "Job.Job_Number": ("project, mapped", lambda v, line: line.job),
    "Job.Phase_Code": ("cost code, mapped", lambda v, line: line.phase),
    "Job.Cost_Type": ("line item type, mapped", lambda v, line: line.cost_type),
    "Remark": ("provenance", lambda v, line: v.source.partition(":")[0][:30]),
}
# What an accountant may look for and not find, with the reason: the same page lists it.
_NOT_SENT = (
    ("payee, remit-to, pay location", "Spectrum takes them from its vendor record, not from Procore"),
    ("second payee of a joint check", "it belongs to the payment, and comes back as a note on Payments Issued"),
    ("payment due date, terms, pay-when-paid", "Spectrum's own settings of vendor and subcontract decide"),
    ("tax", "no connector field carries it yet; an invoice with tax is held by the rule `tax-not-carried`"),
    ("retention released", "released by hand in Spectrum; see `Release Retention by Hand` in the operator's guide"),
    ("attachments", "they stay in Procore, where they may be edited after the export"),
)
_METHODS: dict[str, Literal["check", "credit_card", "electronic"]] = {
    "C": "check",
    "D": "credit_card",
    "E": "electronic",
}


class _WireError(BaseModel):
    desc: str = ""
    column: str = ""


class _WireResult(BaseModel):
    Vendor_Code: str
    Invoice_Number: str
    Document_ID: str = ""
    Status: Literal["Imported", "Rejected"]
    Errors: list[_WireError] = []


class WireAnswer(BaseModel):
    """What the web service answers to a call: one result for each invoice, in order."""

    APInvoices: list[_WireResult]


def field_mapping() -> list[tuple[str, str]]:
    """Return every field that is sent, with where it comes from: the documentation is generated from this."""
    header = [(name, words) for name, (words, _) in _HEADER.items()]
    return header + [(f"APInvoiceDetails.{name}", words) for name, (words, _) in _DETAIL.items()]


def not_sent() -> list[tuple[str, str]]:
    """Return what is left to Spectrum or to Procore, with the reason."""
    return list(_NOT_SENT)


def to_wire(voucher: Voucher) -> dict[str, Any]:
    """Return the document that the web service takes."""
    document: dict[str, Any] = {name: value(voucher) for name, (_, value) in _HEADER.items()}
    document["APInvoiceDetails"] = [_detail_to_wire(voucher, line) for line in voucher.lines]
    return document


def _detail_to_wire(voucher: Voucher, line: VoucherLine) -> dict[str, Any]:
    detail: dict[str, Any] = {}
    for name, (_, value) in _DETAIL.items():
        group, _, field = name.rpartition(".")
        target = detail.setdefault(group, {}) if group else detail
        target[field] = value(voucher, line)
    return detail


def outcomes(answer: WireAnswer, vouchers: Sequence[Voucher], origin: str | None) -> list[Outcome]:
    """Tie each result to its voucher; ValueError when the answer is about something else."""
    sent = [(voucher.vendor_erp, voucher.invoice_number) for voucher in vouchers]
    if sent != [(result.Vendor_Code.strip(), result.Invoice_Number.strip()) for result in answer.APInvoices]:
        raise ValueError("the answer does not list the invoices that were sent")
    results = zip(vouchers, answer.APInvoices, strict=True)
    return [_outcome(voucher, result, origin) for voucher, result in results]


def _outcome(voucher: Voucher, result: _WireResult, origin: str | None) -> Outcome:
    if result.Status == "Imported":
        if not result.Document_ID.strip():
            raise ValueError("an imported invoice has no Document_ID")
        return Created(key=voucher.key, document_id_erp=result.Document_ID.strip())
    words = [plain(f"{error.desc} ({error.column})" if error.column else error.desc) for error in result.Errors]
    reasons = tuple(dict.fromkeys(words)) or ("rejected without a reason",)
    return Refused(key=voucher.key, reasons=reasons, request_id=origin)


def from_wire(row: Row, state: ErpState, settings: Settings) -> ErpInvoice:
    """Return an invoice from its row in the table of that state; it raises what `readable` catches."""
    remarks = text(row.Remarks)
    is_void = state == "posted" and text(row.Void_Flag) == "Y"
    return ErpInvoice(
        key=remarks if parse_key(remarks) else None,
        document_id_erp=text(row.Document_ID),
        company_erp=text(row.Company_Code),
        vendor_erp=text(row.Vendor_Code),
        contract_erp=text(row.Contract_Number) or None,
        invoice_number=text(row.Invoice_Number),
        invoice_on=row.Invoice_Date,
        batch_code=text(row.Batch_Code) or None,
        state="void" if is_void else state,
        currency=settings.currency,
        gross=_amount(row.Invoice_Amount),
        retention=_amount(row.Retention_Amount),
        changed_at=_stamp(row, settings),
    )


def payment_from_wire(row: Row, settings: Settings) -> Payment:
    """Return a payment application from its row; it raises what `readable` catches."""
    names = ("Company_Code", "Bank_Account_Code", "Check_Number", "Vendor_Code", "Invoice_Number", "Sequence")
    return Payment(
        application_id_erp="/".join(text(getattr(row, name)) for name in names),
        company_erp=text(row.Company_Code),
        vendor_erp=text(row.Vendor_Code),
        invoice_number=text(row.Invoice_Number),
        check_number=text(row.Check_Number),
        method=_METHODS.get(text(row.Payment_Method)),
        kind="retention" if text(row.Payment_Kind) == "R" else "progress",
        joint_payee=plain(text(row.Joint_Payee), 80),
        paid_on=row.Check_Date,
        amount=_amount(row.Payment_Amount),
        discount=_amount(row.Discount_Amount),
        currency=settings.currency,
        is_void=text(row.Void_Flag) == "Y",
        voided_on=row.Void_Date,
        changed_at=_stamp(row, settings),
    )


def vendor(row: Row) -> ErpVendor:
    """Return a vendor from its row."""
    name, status = text(row.Vendor_Name), text(row.Status)
    return ErpVendor(code=text(row.Vendor_Code), name=name, is_active=status == "A")


def job(row: Row) -> ErpJob:
    """Return a job from its row."""
    name, status = text(row.Job_Description), text(row.Status)
    return ErpJob(number=text(row.Job_Number), name=name, is_active=status == "A")


def phase(row: Row, accounts: dict[str, str]) -> ErpPhase:
    """Return a phase of a job with one of its cost types; the general ledger account is the cost type's."""
    cost_type = text(row.Cost_Type)
    return ErpPhase(
        job=text(row.Job_Number),
        phase=text(row.Phase_Code),
        cost_type=cost_type,
        is_active=text(row.Status) == "A",
        gl_account=accounts.get(cost_type) or None,
    )


def subcontract(row: Row) -> ErpSubcontract:
    """Return a subcontract from its row."""
    return ErpSubcontract(
        number=text(row.Contract_Number),
        vendor=text(row.Vendor_Code),
        job=text(row.Job_Number),
        is_active=text(row.Status) == "A",
    )


def named(row: Row) -> str:
    """Return what a message calls the invoice of this row."""
    return f"invoice {text(row.Invoice_Number)} of vendor {text(row.Vendor_Code)}"


def text(value: Any) -> str:
    """Return a CHAR column without the blanks that fill it up."""
    return "" if value is None else str(value).strip()


def _amount(value: Any) -> Decimal:
    if isinstance(value, float):
        raise ContractError(SYSTEM, "an amount in Info-Link", "it came as a binary fraction, not as a decimal")
    return Decimal(0) if value is None else Decimal(str(value).strip())


def _stamp(row: Row, settings: Settings) -> datetime | None:
    if row.Date_Stamp is None:
        return None
    moment = datetime.fromisoformat(f"{row.Date_Stamp}T{text(row.Time_Stamp) or '00:00:00'}")
    return moment.replace(tzinfo=settings.zone)


def _day(day: date) -> str:
    return f"{day:%m/%d/%Y}"


def _money(amount: Decimal) -> str:
    if amount != amount.quantize(Decimal("0.01")):
        raise ContractError(SYSTEM, "a voucher", f"{amount} has a part of a cent")
    return f"{amount:.2f}"
