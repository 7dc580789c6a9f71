"""Turn a judged invoice into the voucher that an ERP gets; pure arithmetic on exact decimals, no system in sight."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from data_contracts.case import Case, line_keys
from data_contracts.commitment import Commitment
from data_contracts.invoice import ZERO, Invoice, InvoiceLine
from data_contracts.money import round_half_up
from data_contracts.reference import Finding, Reference
from data_contracts.verdicts import check
from data_contracts.voucher import Voucher, VoucherLine
from tieout.settings import Policy


def batch_code(instant: datetime, zone: ZoneInfo, weekday: int) -> str:
    """Return the batch of a record created at that instant: the day that ends its week, YYYYMMDD (R40, AM-1)."""
    if instant.tzinfo is None:
        raise ValueError("a batch needs an instant with its time zone")
    day = instant.astimezone(zone).date()
    return (day + timedelta(days=(weekday - day.weekday()) % 7)).strftime("%Y%m%d")


def accounting_on(invoice: Invoice, reference: Reference, policy: Policy) -> date | None:
    """Return the day in the ERP's books: the billing date, else the nearest day of the open period (C4.23).

    None where there is no billing date, or where the policy holds what lies in a closed period.
    """
    billed, first, last = invoice.billed_on, reference.open_from, reference.open_to
    if billed is None:
        return None
    open_on = max(billed, first or billed)
    open_on = min(open_on, last or open_on)
    return open_on if open_on == billed or policy.closed_period == "first_open" else None


def erp_number(invoice: Invoice, commitment: Commitment | None, policy: Policy) -> str:
    """Return the invoice number that the ERP gets, by policy with the commitment's before it (A10, C3.16)."""
    number = invoice.invoice_number.strip()
    if policy.invoice_number == "alone" or not number or commitment is None:
        return number
    return f"{commitment.number}-{number}" if commitment.number else number


def complete(invoice: Invoice, previous: Invoice | None) -> Invoice:
    """Fill in what a line started from, where Procore's view omits it: from the previous invoice, zero for the first.

    Figures of a previous invoice that is not known stay open; the rule `continues-previous` holds the invoice for them.
    """
    if previous is None and invoice.previous_invoice_id_procore is not None:
        return invoice
    earlier = dict(zip(line_keys(previous.lines), previous.lines, strict=True)) if previous else {}
    keys = line_keys(invoice.lines)
    lines = tuple(_complete_line(line, earlier.get(key)) for line, key in zip(invoice.lines, keys, strict=True))
    is_complete = all(line is given for line, given in zip(lines, invoice.lines, strict=True))
    return invoice if is_complete else invoice.model_copy(update={"lines": lines})


def _complete_line(line: InvoiceLine, before: InvoiceLine | None) -> InvoiceLine:
    missing: dict[str, Decimal] = {}
    if line.stored_before is None:
        missing["stored_before"] = before.stored_now if before else ZERO
    if line.completed_before is None:
        missing["completed_before"] = before.completed_to_date if before else ZERO
    if line.stored_retainage_before is None:
        missing["stored_retainage_before"] = before.stored_retainage_now if before else ZERO
    return line.model_copy(update=missing) if missing else line


def to_release(invoice: Invoice) -> Decimal:
    """Return what is to be released by hand in the ERP: what was released, and retention held below zero (A10)."""
    return invoice.released + max(-invoice.held, ZERO)


def voucher(case: Case, key: str, batch: str, accounting: date | None) -> Voucher | Finding:
    """Return the unposted AP invoice: one cost line per G703 line that earned something, retention held beside it.

    Where a code or a date is missing since the invoice was judged, the first reason why it cannot be made.
    """
    invoice, amounts = case.invoice, exported_amounts(case.invoice)
    lines = [_voucher_line(case, position, amount) for position, (amount, _) in enumerate(amounts) if amount != ZERO]
    ours = (case.vendor_erp, case.contract_erp, accounting, invoice.billed_on)
    if None in ours or None in lines:
        return _first_reason(case, accounting)
    fields: dict[str, Any] = dict(zip(("vendor_erp", "contract_erp", "accounting_on", "invoice_on"), ours, strict=True))
    return Voucher(
        **fields,
        key=key,
        company_erp=case.company_erp,
        invoice_number=case.number_erp,
        batch_code=batch,
        currency=invoice.currency,
        gross=round_half_up(invoice.gross, invoice.currency),
        retention=retention(invoice),
        lines=tuple(line for line in lines if line is not None),
        holds_payment=case.holds_payment,
        attachments=invoice.attachments,
        description=f"{invoice.commitment_name} application {invoice.number_on_commitment}".strip(),
        source=f"Invoice Imported From Procore: invoice {invoice.invoice_id_procore},"
        f" commitment {invoice.commitment_id_procore}, project {invoice.project_id_procore}",
    )


def _voucher_line(case: Case, position: int, amount: Decimal) -> VoucherLine | None:
    line, coding = case.invoice.lines[position], case.coding[position]
    if case.job_erp is None or coding.phase is None or coding.cost_type is None:
        return None
    return VoucherLine(
        line_id_procore=line.line_id_procore,
        job=case.job_erp,
        phase=coding.phase,
        cost_type=coding.cost_type,
        gl_account=coding.gl_account,
        amount=amount,
        description=line.description,
    )


def _first_reason(case: Case, accounting: date | None) -> Finding:
    found = check([case])[case.invoice.invoice_id_procore]
    stops = [finding for finding in found if finding.severity != "warn"]
    if not stops:
        raise ValueError(f"accounting date {accounting} and the case disagree")
    return stops[0]


def retention(invoice: Invoice) -> Decimal:
    """Return what the ERP is to hold of it: never below zero, as what is released is never exported (R38)."""
    return round_half_up(max(invoice.held, ZERO), invoice.currency)


def exported_amounts(invoice: Invoice) -> list[tuple[Decimal, Decimal]]:
    """Return for each line what the ERP gets of it, and what of that the sum's rounding put there (C1.6).

    The amounts add up to the rounded sum: what rounding each line loses goes to the largest line, of equals to the
    one with the lowest id.
    """
    currency, lines = invoice.currency, invoice.lines
    rounded = [round_half_up(line.gross, currency) for line in lines]
    left = round_half_up(invoice.gross, currency) - sum(rounded, ZERO)
    chosen = min(range(len(lines)), key=lambda at: (-abs(rounded[at]), lines[at].line_id_procore)) if left else None
    residuals = [left if at == chosen else ZERO for at in range(len(lines))]
    return [(amount + residual, residual) for amount, residual in zip(rounded, residuals, strict=True)]
