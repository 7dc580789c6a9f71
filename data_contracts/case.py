"""A case: one invoice with all that judging it needs, and the rows of exact figures that the rules are applied to.

Figures in rows are whole ten-thousandths of the currency unit, the finest that a contract lets in: exact as integers,
and far inside 64 bits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from data_contracts.commitment import Commitment
from data_contracts.invoice import Invoice, InvoiceLine
from data_contracts.money import in_words, minor_digits

_SCALE = 10_000
_BEYOND = 10**17  # past every amount a contract lets in; keeps absurd sums inside 64 bits, where they tie to nothing

Row = dict[str, Any]
LineKey = tuple[int | None, int | None, int]


@dataclass(frozen=True, slots=True)
class Coding:
    """Where the ERP books a line; `is_in_erp` also when there is too little to look it up by."""

    phase: str | None
    cost_type: str | None
    gl_account: str | None = None
    is_in_erp: bool = True


@dataclass(frozen=True, slots=True)
class ErpFacts:
    """What the ERP can take, as far as a rule depends on it."""

    name: str
    currency: str
    invoice_number_length: int
    contract_number_length: int
    purchase_orders: bool = False
    retention_release: bool = False
    credit_memos: bool = False
    tax: bool = False
    payment_hold: bool = False
    release_path: str = ""


@dataclass(frozen=True, slots=True)
class Others:
    """What other invoices have to do with this one, each of them in words."""

    same_number: tuple[str, ...] = ()  # of the vendor
    same_number_in_erp: tuple[str, ...] = ()  # of other vendors in Procore that are the same vendor in the ERP
    same_bill: tuple[str, ...] = ()  # the same amount for the same commitment and period
    waiting: str = ""  # the previous invoice of the commitment, where it is not on its way to the ERP


@dataclass(frozen=True, slots=True)
class Papers:
    """What is missing of the papers that payment waits for, in words; empty where none is, or nobody asks for them."""

    insurance: str = ""
    compliance_documents: str = ""
    lien_waiver: str = ""


@dataclass(frozen=True, slots=True)
class PaperPolicy:
    """How grave it is that one of these is missing: `stop`, `pay_hold`, `warn` or `allow`."""

    insurance: str = "allow"
    compliance_documents: str = "allow"
    lien_waiver: str = "allow"


@dataclass(frozen=True, slots=True)
class Case:
    """One invoice, completed from the one before it, beside its codes, the ERP's facts and the company's policy."""

    invoice: Invoice
    commitment: Commitment | None
    previous: Invoice | None
    vendor_name: str
    number_erp: str
    company_erp: str
    vendor_erp: str | None
    job_erp: str | None
    contract_erp: str | None
    coding: tuple[Coding, ...]
    erp: ErpFacts
    today: date
    vendor_is_active: bool = True
    contract_matches: bool = True
    others: Others = Others()
    change_orders: Mapping[int, str] = field(default_factory=dict)
    period_is_known: bool = True
    accounting_on: date | None = None
    over_billing: str = "warn"
    papers: Papers = Papers()
    paper_policy: PaperPolicy = PaperPolicy()

    def gravity(self, policy: str) -> str:
        """Return what the company's policy of that name says; an ERP that holds no payment has the invoice held."""
        gravity: str = self.over_billing if policy == "over_billing" else getattr(self.paper_policy, policy)
        return "stop" if gravity == "pay_hold" and not self.erp.payment_hold else gravity

    @property
    def holds_payment(self) -> bool:
        """Whether the ERP is told to hold the payment."""
        return self.erp.payment_hold and self.wants_payment_held

    @property
    def wants_payment_held(self) -> bool:
        """Whether a paper is missing for which the policy would have the payment held."""
        policy, missing = self.paper_policy, self.papers
        return any(
            gravity == "pay_hold" and words
            for gravity, words in (
                (policy.insurance, missing.insurance),
                (policy.compliance_documents, missing.compliance_documents),
                (policy.lien_waiver, missing.lien_waiver),
            )
        )


def line_keys(lines: Sequence[InvoiceLine]) -> list[LineKey]:
    """Name each line by what it bills, so that it is found again on the next invoice; twins are told apart by order."""
    seen: dict[tuple[int | None, int | None], int] = {}
    keys = []
    for line in lines:
        bills = (line.commitment_line_id_procore, line.change_order_id_procore)
        seen[bills] = seen.get(bills, -1) + 1
        keys.append((*bills, seen[bills]))
    return keys


def is_previous_known(case: Case) -> bool:
    """Whether every figure that this invoice continues from is known."""
    if case.previous is not None or case.invoice.previous_invoice_id_procore is None:
        return True
    befores = ((x.stored_before, x.completed_before, x.stored_retainage_before) for x in case.invoice.lines)
    return all(None not in figures for figures in befores)


def line_label(case: Case, position: int) -> str:
    """Return how people find the line: its place on the sheet and its description."""
    description = case.invoice.lines[position].description
    return f'Line {position + 1} "{description}"' if description else f"Line {position + 1}"


def amount_in_words(units: int, currency: str) -> str:
    """Return a figure of a row as people write it; the fraction of a cent is shown where there is one."""
    amount = Decimal(units) / _SCALE
    if units % 10 ** (4 - minor_digits(currency)):
        return f"{amount:,.4f} {currency}"
    return in_words(amount, currency)


def line_rows(case: Case) -> list[Row]:
    """Return the figures of each G703 line, beside what the previous invoice says of the same line."""
    lines = case.invoice.lines
    if case.previous is None:
        earlier: dict[LineKey, InvoiceLine] = {}
    else:
        earlier = dict(zip(line_keys(case.previous.lines), case.previous.lines, strict=True))
    is_known = case.previous is not None or case.invoice.previous_invoice_id_procore is None
    rows = []
    for position, (line, key) in enumerate(zip(lines, line_keys(lines), strict=True)):
        row = _line_figures(line) | _unit_figures(line, case.invoice.currency)
        row |= _past(earlier.get(key)) if is_known else _taken_as_given(row)
        row["previous_work_retained"] += row["retainage_moved"]
        row |= _line_codes(case, position, row["gross"] != 0)
        rows.append(row)
    return rows


def _line_figures(line: InvoiceLine) -> Row:
    done, gross = units(line.completed_to_date), units(line.gross)
    scheduled = units(line.scheduled_value)
    work_before, work_retained = units(line.work_retainage_before), units(line.work_retained)
    stored_retained, stored_retained_before = line.stored_retainage_now, line.stored_retainage_before
    work_retained_to_date = work_before + work_retained - units(line.work_released)
    return {
        "scheduled_value": scheduled,
        "work_before": units(line.work_before),
        "work_this_period": units(line.work_this_period),
        "stored_now": units(line.stored_now),
        "stored_before": 0 if line.stored_before is None else units(line.stored_before),
        "moved": units(line.moved),
        "completed_to_date": done,
        "completed_before": done - gross if line.completed_before is None else units(line.completed_before),
        "gross": gross,
        "work_retainage_before": work_before,
        "work_released": units(line.work_released),
        "work_retained_to_date": work_retained_to_date,
        "stored_retainage_now": units(stored_retained),
        "stored_released": units(line.stored_released),
        "sign_of_stored": -1 if stored_retained_before is not None and stored_retained_before < 0 else 1,
        "stored_retainage_before": 0 if stored_retained_before is None else units(stored_retained_before),
        "retained_to_date": work_retained_to_date + units(stored_retained),
        "retainage_moved": units(line.retainage_moved),
        "is_rejected": line.is_rejected,
        "sign": -1 if scheduled < 0 else 1,
        "sign_of_work": -1 if done < 0 else 1,
    }


def _unit_figures(line: InvoiceLine, currency: str) -> Row:
    """Give what quantity times price makes, this period and in all; a line that is not billed by unit is as it says."""
    price = line.unit_price
    return {
        "unit_price": _as_text(price),
        "quantity": _as_text(line.quantity),
        "scheduled_quantity": _as_text(line.scheduled_quantity),
        "work_by_unit": _product(line.quantity, price, line.work_this_period),
        "scheduled_by_unit": _product(line.scheduled_quantity, price, line.scheduled_value),
        "smallest_unit": 10 ** (4 - minor_digits(currency)),
    }


def _product(quantity: Decimal | None, price: Decimal | None, stated: Decimal) -> int:
    if quantity is None or not price:
        return units(stated)
    return max(-_BEYOND, min(_BEYOND, round(quantity * price * _SCALE)))


def _as_text(factor: Decimal | None) -> str:
    return "" if factor is None else f"{factor:f}"


def _past(before: InvoiceLine | None) -> Row:
    names = ("previous_completed", "previous_stored", "previous_stored_retainage", "previous_work_retained")
    if before is None:
        return dict.fromkeys(names, 0)
    retained = before.work_retainage_before + before.work_retained - before.work_released
    figures = (before.completed_to_date, before.stored_now, before.stored_retainage_now, retained)
    return dict(zip(names, map(units, figures), strict=True))


def _taken_as_given(row: Row) -> Row:
    """Where the previous invoice is not known, the line's own word for it is all there is."""
    return {
        "previous_completed": row["completed_before"],
        "previous_stored": row["stored_before"],
        "previous_stored_retainage": row["stored_retainage_before"],
        "previous_work_retained": row["work_retainage_before"] - row["retainage_moved"],
    }


def _line_codes(case: Case, position: int, is_posted: bool) -> Row:
    """Give the codes that the rules look at; a line that posts nothing needs none."""
    line, coding = case.invoice.lines[position], case.coding[position]
    change_order = line.change_order_id_procore
    status = None if change_order is None else case.change_orders.get(change_order, "not known")
    return {
        "position": position,
        "phase": coding.phase if is_posted else "",
        "cost_type": coding.cost_type if is_posted else "",
        "is_in_erp": coding.is_in_erp or not is_posted,
        "change_order_status": status if is_posted else None,
        "job": case.job_erp or "",
        "code": line.wbs_code or "none",
        "erp": case.erp.name,
    }


def header_row(case: Case, lines: Sequence[Row]) -> Row:
    """Return the G702 figures, the sums of the lines beside them, and what is known about names, codes and dates."""
    invoice = case.invoice
    summary = {name: _rounded(units(value), invoice.currency) for name, value in invoice.summary}
    return summary | _sums(invoice, lines) | _past_header(case) | _names(case) | _dates(case)


def _sums(invoice: Invoice, lines: Sequence[Row]) -> Row:
    held, released = units(invoice.held), units(invoice.released)
    gross = sum(row["gross"] for row in lines)
    sums = {
        "sum_scheduled": sum(row["scheduled_value"] for row in lines),
        "sum_completed": sum(row["completed_to_date"] for row in lines),
        "sum_completed_before": sum(row["completed_before"] for row in lines),
        "sum_work_retained": sum(row["work_retained_to_date"] for row in lines),
        "sum_stored_retained": sum(row["stored_retainage_now"] for row in lines),
        "gross": gross,
        "cost_moved": sum(row["gross"] for row in lines if row["gross"] > 0) if gross == 0 else 0,
        "held": held,
        "released": released,
        "net": gross - held + released,
        "to_release": released + max(-held, 0),
    }
    return {name: _rounded(units, invoice.currency) for name, units in sums.items()}


def _past_header(case: Case) -> Row:
    previous, currency = case.previous, case.invoice.currency
    if previous is not None:
        earned, completed = previous.summary.earned_less_retainage, previous.summary.completed_to_date
        figures = _rounded(units(earned), currency), _rounded(units(completed), currency)
    elif case.invoice.previous_invoice_id_procore is None:
        figures = 0, 0
    else:
        given = sum((line.completed_before or Decimal(0) for line in case.invoice.lines), Decimal(0))
        certified = case.invoice.summary.previous_certificates
        figures = _rounded(units(certified), currency), _rounded(units(given), currency)
    return {
        "previous_is_known": is_previous_known(case),
        "previous_invoice": str(case.invoice.previous_invoice_id_procore or "none"),
        "application": case.invoice.number_on_commitment,
        "previous_application": _previous_application(case),
        "previous_is_on_its_way": not case.others.waiting,
        "waiting": case.others.waiting,
        "previous_earned": figures[0],
        "previous_total": figures[1],
    }


def _previous_application(case: Case) -> int:
    """Return the number of the invoice before; where that one is not known, what it should be."""
    if case.previous is not None:
        return case.previous.number_on_commitment
    return 0 if case.invoice.previous_invoice_id_procore is None else case.invoice.number_on_commitment - 1


def _names(case: Case) -> Row:
    invoice, erp = case.invoice, case.erp
    number, contract = case.number_erp, case.contract_erp
    is_order = invoice.commitment_kind == "purchase_order"
    return {
        "status": invoice.status,
        "kind": invoice.kind,
        "erp": erp.name,
        "is_purchase_order": is_order and not erp.purchase_orders,
        "is_release": invoice.released != 0 or invoice.held < 0,
        "can_release": erp.retention_release,
        "release_path": erp.release_path,
        "number": number.strip() or None,
        "number_is_clean": number.isprintable(),
        "number_length": len(number),
        "number_limit": erp.invoice_number_length,
        "duplicates": len(case.others.same_number),
        "duplicate_of": "; ".join(case.others.same_number),
        "duplicates_in_erp": len(case.others.same_number_in_erp),
        "duplicate_in_erp": "; ".join(case.others.same_number_in_erp),
        "bills_alike": len(case.others.same_bill),
        "bill_alike": "; ".join(case.others.same_bill),
        "vendor": case.vendor_name or f"Vendor {invoice.vendor_id_procore}",
        "vendor_erp": case.vendor_erp,
        "vendor_is_active": case.vendor_is_active or case.vendor_erp is None,
        "job_erp": case.job_erp,
        "commitment": _commitment_label(case),
        "contract_erp": contract if not is_order or erp.purchase_orders else "",
        "contract_length": len(contract or ""),
        "contract_limit": erp.contract_number_length,
        "contract_matches": case.contract_matches or contract is None or is_order,
        "currency": invoice.currency,
        "base_currency": invoice.base_currency,
        "erp_currency": erp.currency,
        "takes_credits": erp.credit_memos,
        "takes_tax": erp.tax,
        "no_insurance": case.papers.insurance,
        "no_documents": case.papers.compliance_documents,
        "no_waiver": case.papers.lien_waiver,
        "held_how": _held_how(case),
        "period": None if invoice.period_id_procore is None or not case.period_is_known else "known",
    }


def _held_how(case: Case) -> str:
    if not case.wants_payment_held:
        return ""
    if not case.holds_payment:
        return f" {case.erp.name} cannot hold its payment, so tieout holds the invoice itself."
    return f" tieout exports it with its payment on hold, which accounting lifts in {case.erp.name}."


def _commitment_label(case: Case) -> str:
    commitment = case.commitment
    number = commitment.number if commitment else ""
    return number or case.invoice.commitment_name or f"commitment {case.invoice.commitment_id_procore}"


def _dates(case: Case) -> Row:
    invoice = case.invoice
    start, end, billed = invoice.period_start, invoice.period_end, invoice.billed_on
    return {
        "billed_on": billed.isoformat() if billed else None,
        "billed_year": billed.year if billed else 2000,
        "days_ahead": (billed - case.today).days if billed else 0,
        "period_days": (end - start).days if start and end else 0,
        "period_start": str(start or "none"),
        "period_end": str(end or "none"),
        "accounting_on": _accounting_on(case),
    }


def _accounting_on(case: Case) -> str | None:
    if case.accounting_on is None:
        return None if case.invoice.billed_on else ""  # without a billing date there is nothing to place
    return case.accounting_on.isoformat()


def units(amount: Decimal) -> int:
    """Return an amount as rules compute with it, in whole ten-thousandths."""
    return int(amount * _SCALE)


def _rounded(units: int, currency: str) -> int:
    """Round half away from zero to the currency's minor unit, still in ten-thousandths."""
    step = 10 ** (4 - minor_digits(currency))
    nearest: int = (abs(units) + step // 2) // step * step
    return min(nearest, _BEYOND) if units >= 0 else max(-nearest, -_BEYOND)
