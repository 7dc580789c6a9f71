"""Turn a judged invoice into the voucher that an ERP gets; pure arithmetic on exact decimals, no system in sight."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from data_contracts.case import Case, line_keys
from data_contracts.commitment import Commitment
from data_contracts.invoice import ZERO, Invoice, InvoiceLine
from data_contracts.money import from_minor, round_half_up, to_minor
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
    lines = [_complete_line(line, earlier.get(key)) for line, key in zip(invoice.lines, keys, strict=True)]
    return invoice.model_copy(update={"lines": tuple(lines)})


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
    invoice, rows = case.invoice, derivation(case.invoice)
    lines = [_voucher_line(case, position, row.exported) for position, row in enumerate(rows) if row.exported != ZERO]
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
        retention=round_half_up(max(invoice.held, ZERO), invoice.currency),
        lines=tuple(line for line in lines if line is not None),
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


@dataclass(frozen=True)
class LineProof:
    """How one G703 line becomes an amount: gross = E + (F - F before) + moved (R42, AM-2)."""

    line_id_procore: int
    description: str
    scheduled_value: Decimal
    work_before: Decimal
    work_this_period: Decimal
    stored_now: Decimal
    stored_before: Decimal
    moved: Decimal
    completed_to_date: Decimal
    completed_before: Decimal
    gross: Decimal
    held: Decimal
    released: Decimal
    exported: Decimal  # gross at the smallest unit of the currency
    residual: Decimal  # of that, what the sum's rounding put on this line (requirements C1.6)
    is_empty_twin: bool

    @property
    def difference(self) -> Decimal:
        """What the line is off by; zero when it ties."""
        return self.gross - (self.completed_to_date - self.completed_before)


def derivation(invoice: Invoice) -> list[LineProof]:
    """Show for each line the figures that its amount came from; the amounts add up to the voucher's gross."""
    residuals = _residuals(invoice)
    return [_proof(line, invoice.currency, residual) for line, residual in zip(invoice.lines, residuals, strict=True)]


def _proof(line: InvoiceLine, currency: str, residual: Decimal) -> LineProof:
    gross = line.gross
    before = line.completed_to_date - gross if line.completed_before is None else line.completed_before
    return LineProof(
        line_id_procore=line.line_id_procore,
        description=line.description,
        scheduled_value=line.scheduled_value,
        work_before=line.work_before,
        work_this_period=line.work_this_period,
        stored_now=line.stored_now,
        stored_before=line.stored_before or ZERO,
        moved=line.moved,
        completed_to_date=line.completed_to_date,
        completed_before=before,
        gross=gross,
        held=line.held,
        released=line.released,
        exported=round_half_up(gross, currency) + residual,
        residual=residual,
        is_empty_twin=line.is_empty_twin,
    )


def _residuals(invoice: Invoice) -> list[Decimal]:
    """Put what rounding each line loses against the rounded sum on the largest line, of equals on the lowest id."""
    currency, lines = invoice.currency, invoice.lines
    none = [ZERO] * len(lines)
    rounded = [to_minor(round_half_up(line.gross, currency), currency) for line in lines]
    left = to_minor(round_half_up(invoice.gross, currency), currency) - sum(rounded)
    if not left:
        return none
    chosen = min(range(len(lines)), key=lambda at: (-abs(rounded[at]), lines[at].line_id_procore))
    none[chosen] = from_minor(left, currency)
    return none


@dataclass(frozen=True)
class Tie:
    """One equation of the form, with both its sides."""

    equation: str
    computed: Decimal
    stated: Decimal

    @property
    def holds(self) -> bool:
        """Whether both sides are equal to the cent."""
        return self.computed == self.stated


def ties(invoice: Invoice) -> list[Tie]:
    """Show that the G702 header foots and that the lines add up to it."""
    form, currency = invoice.summary, invoice.currency
    completed = _total(invoice.lines, "completed_to_date")
    stored = _total(invoice.lines, "stored_retainage_now")
    work = sum((line.work_retainage_before + line.work_retained - line.work_released for line in invoice.lines), ZERO)
    due = round_half_up(invoice.gross - invoice.held + invoice.released, currency)
    is_taxed = due != form.payment_due
    certified = form.earned_less_retainage - form.previous_certificates
    return [
        Tie("3 = 1 + 2", form.original_contract_sum + form.net_change_orders, form.contract_sum_to_date),
        Tie("4 = sum of lines", round_half_up(completed, currency), form.completed_to_date),
        Tie("5a = retainage on work", round_half_up(work, currency), form.work_retainage),
        Tie("5b = retainage on stored", round_half_up(stored, currency), form.stored_retainage),
        Tie("5 = 5a + 5b", form.work_retainage + form.stored_retainage, form.total_retainage),
        Tie("6 = 4 - 5", form.completed_to_date - form.total_retainage, form.earned_less_retainage),
        Tie(f"8 = 6 - 7{' + tax' * is_taxed}", certified + form.tax * is_taxed, form.payment_due),
        Tie("9 = 3 - 6", form.contract_sum_to_date - form.earned_less_retainage, form.balance_to_finish),
        Tie(f"8 = gross - held + released{' + tax' * is_taxed}", due + form.tax * is_taxed, form.payment_due),
    ]


def _total(lines: Sequence[InvoiceLine], name: str) -> Decimal:
    return sum((getattr(line, name) for line in lines), ZERO)
