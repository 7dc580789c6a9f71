"""What a subcontractor invoice is once Procore's wire format is left behind: an AIA G702 with its G703 lines."""

import hashlib
import re
from collections.abc import Set
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from data_contracts.contract import Contract
from data_contracts.money import Amount, Factor

ZERO = Decimal("0.00")  # written as amounts that were read are, since the hash is taken from the text
SENDABLE = ("approved", "approved_as_noted", "pending_owner_approval")  # requirement R15
UNSENDABLE = ("draft", "under_review", "revise_and_resubmit")
Status = Literal[
    "draft", "under_review", "revise_and_resubmit", "approved", "approved_as_noted", "pending_owner_approval"
]
LineKind = Literal["contract_item", "contract_detail_item", "change_order_item", "whole_change_order_item"]
InvoiceKind = Literal["progress", "retainage_release", "progress_and_retainage_release"]


class InvoiceLine(Contract):
    """One G703 line. Letters are the form's columns: D before, E this period, F stored, G to date (requirements C1)."""

    line_id_procore: int
    kind: LineKind
    commitment_line_id_procore: int | None
    change_order_id_procore: int | None = None
    description: str = ""
    cost_code_id_procore: int | None = None
    wbs_code: str | None = None
    scheduled_value: Amount  # C
    work_before: Amount  # D
    work_this_period: Amount  # E
    stored_now: Amount  # F
    stored_before: Amount | None = None  # F of the previous invoice; None where Procore's view omits it
    moved: Amount = ZERO  # stored balance that Procore moved into D (auto-move mode)
    completed_to_date: Amount  # G
    completed_before: Amount | None = None  # G of the previous invoice
    work_retainage_before: Amount = ZERO
    work_retained: Amount = ZERO
    work_released: Amount = ZERO
    stored_retainage_now: Amount = ZERO
    stored_retainage_before: Amount | None = None
    stored_released: Amount = ZERO
    retainage_moved: Amount = ZERO
    is_rejected: bool = False  # by whoever reviewed the invoice in Procore, line by line
    quantity: Factor | None = None  # of the work this period; these three on lines that are billed by unit only
    scheduled_quantity: Factor | None = None
    unit_price: Factor | None = None

    @property
    def gross(self) -> Decimal:
        """Amount earned this period: E + (F - F before) + moved (R42 with AM-2)."""
        return self.work_this_period + self.stored_now - (self.stored_before or ZERO) + self.moved

    @property
    def held(self) -> Decimal:
        """Retention newly held this period, before any release (requirements C1.1)."""
        stored_change = self.stored_retainage_now - (self.stored_retainage_before or ZERO)
        return self.work_retained + stored_change + self.retainage_moved + self.stored_released

    @property
    def released(self) -> Decimal:
        """Retention given back this period; never exported (R38)."""
        return self.work_released + self.stored_released

    @property
    def is_empty_twin(self) -> bool:
        """Whether this is the $0 twin line that Procore adds for a change order (requirements C2.7)."""
        figures = (self.scheduled_value, self.completed_to_date, self.work_this_period, self.stored_now)
        return self.kind == "change_order_item" and not any(figures) and not self.held and not self.released


class Summary(Contract):
    """The G702 header as Procore computed it; every figure cumulative unless it says otherwise."""

    original_contract_sum: Amount  # 1
    net_change_orders: Amount  # 2
    contract_sum_to_date: Amount  # 3
    completed_to_date: Amount  # 4
    work_retainage: Amount  # 5a
    stored_retainage: Amount  # 5b
    total_retainage: Amount  # 5
    earned_less_retainage: Amount  # 6
    previous_certificates: Amount  # 7
    payment_due: Amount  # 8
    balance_to_finish: Amount  # 9
    tax: Amount = ZERO


class Person(Contract):
    """Who made something in Procore."""

    user_id_procore: int
    name: str
    email: str | None = None


def normalised_number(number: str) -> str:
    """Return an invoice number without all by which a bookkeeper would not tell it from another one."""
    words = re.findall(r"[^\W\d_]+|\d+", number.casefold())
    return "".join(word.lstrip("0") or "0" for word in words)[:200]


class Invoice(Contract):
    """One subcontractor invoice of one company in Procore (there: a requisition)."""

    company_id_procore: int
    project_id_procore: int
    invoice_id_procore: int
    commitment_id_procore: int
    commitment_kind: Literal["subcontract", "purchase_order"]
    commitment_name: str = ""
    previous_invoice_id_procore: int | None = None
    period_id_procore: int | None = None
    number_on_commitment: int
    invoice_number: str
    kind: InvoiceKind = "progress"
    accounting_method: Literal["amount", "unit"] = "amount"
    status: Status
    vendor_id_procore: int | None
    vendor_name: str = ""
    billed_on: date | None
    period_start: date | None = None
    period_end: date | None = None
    currency: str
    base_currency: str
    moves_stored_materials: bool = False
    summary: Summary
    lines: tuple[InvoiceLine, ...]
    created_by: Person | None = None
    updated_at: datetime
    origin_id: str | None = None
    origin_data: str | None = None
    attachments: tuple[str, ...] = ()  # each as its name and its address

    @property
    def gross(self) -> Decimal:
        """Sum of what the lines earned this period, before retention and tax."""
        return sum((line.gross for line in self.lines), ZERO)

    @property
    def held(self) -> Decimal:
        """Sum of retention newly held this period."""
        return sum((line.held for line in self.lines), ZERO)

    @property
    def released(self) -> Decimal:
        """Sum of retention released this period."""
        return sum((line.released for line in self.lines), ZERO)

    @property
    def is_sendable(self) -> bool:
        """Whether its status lets a project administrator send it to the ERP (R15)."""
        return self.status in SENDABLE

    @property
    def period(self) -> str:
        """The period that it bills, as a list shows it."""
        return f"{self.period_start} to {self.period_end}" if self.period_start else ""

    def number_key(self, vendor_id: int | None = None) -> str:
        """Return what two invoices share when a bookkeeper would take them for the same (requirements C15).

        Case, spaces, punctuation and leading zeros do not tell invoice numbers apart; a blank number has no key.
        `vendor_id` asks for the key that it would have as another vendor's.
        """
        number = normalised_number(self.invoice_number)
        return f"{vendor_id or self.vendor_id_procore}|{number}" if number else ""

    def differences(self, later: "Invoice") -> dict[str, tuple[str, str]]:
        """Return what of all that an approver decides on is otherwise in `later`: by field, here and there.

        Lines are known by their ids and called by their position here; a whole line is told by what it earned.
        """
        found = _unlike(self, later, {*_NOT_CONTENT, "summary", "lines"}) | _unlike(self.summary, later.summary)
        if "vendor_id_procore" in found:
            found["vendor_name"] = (self.vendor_name, later.vendor_name)
        ours, theirs = ({line.line_id_procore: line for line in each.lines} for each in (self, later))
        for position, (line_id, line) in enumerate((ours | theirs).items(), 1):
            label = f"line {position} {line.description}".strip()
            if line_id in ours and line_id in theirs:
                pairs = _unlike(ours[line_id], theirs[line_id])
                found |= {f"{label}: {name}": pair for name, pair in pairs.items()}
            else:
                found[label] = (line.gross, None) if line_id in ours else (None, line.gross)
        return {name: (_in_words(here), _in_words(there)) for name, (here, there) in found.items()}

    def content_hash(self) -> str:
        """Return the hash of all that an approver decides on; our own write-backs and comments do not move it."""
        # Fields at their default are left out: a release that learns a new field does not change what was accepted.
        content = self.model_dump_json(exclude=_NOT_CONTENT, exclude_defaults=True)
        return hashlib.sha256(content.encode()).hexdigest()


_NOT_CONTENT = {
    *("status", "updated_at", "origin_id", "origin_data", "created_by", "vendor_name", "commitment_name"),
    "attachments",
}


def _unlike(here: Contract, there: Contract, leave_out: Set[str] = frozenset()) -> dict[str, tuple[Any, Any]]:
    names = [name for name in type(here).model_fields if name not in leave_out]
    pairs = {name: (getattr(here, name), getattr(there, name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _in_words(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, Decimal) else str(value)
