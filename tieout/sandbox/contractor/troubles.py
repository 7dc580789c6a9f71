"""The troubles that the checks must catch, each put into one sound invoice so that only one rule is broken.

A label is the id of that rule. Every trouble can be repaired from the copy kept before it was put in,
save those whose remedy lies in the ERP or with the people who wrote the invoice.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from tieout.sandbox.contractor.applications import by_quantity, gross
from tieout.sandbox.contractor.documents import Document, earned, fill, read_lines, write_summary
from tieout.sandbox.contractor.erp_books import ErpInvoice
from tieout.sandbox.contractor.g703 import CENT, ZERO, cents

# A trouble of the commitment or the vendor: the commitment has this one invoice only.
WHOLE_COMMITMENT = (
    "purchase-order",
    "vendor-unmapped",
    "vendor-inactive",
    "subcontract-unmapped",
    "phase-unmapped",
    "cost-type-unmapped",
    "coding-not-in-erp",
)
# A trouble of the figures: on the newest invoice, or the next one would inherit it.
NEWEST_INVOICE = (
    "line-identity",
    "continues-previous",
    "lines-sum",
    "header-foots",
    "line-adds-up",
    "retainage-bounds",
    "change-order-unapproved",
    "release-only",
    "nothing-to-post",
    "net-negative",
    "unreadable",
)
# Of the same kind, where there are so many invoices that the share of trouble stays moderate.
RARE = ("unit-price",)
# A trouble of the header, on any invoice; the duplicates come in pairs and both carry the label.
ANY_INVOICE = ("number-missing", "number-too-long", "already-in-erp", "dates", "currency", "tax-not-carried")
DUPLICATE = "number-duplicate"
DUPLICATE_PAIRS = ("exact", "normalised")

ROUND = len(WHOLE_COMMITMENT) + len(NEWEST_INVOICE) + len(ANY_INVOICE) + 2 * len(DUPLICATE_PAIRS)

Repair = dict[str, Any]  # {"kind": requisitions | vendors | commitments | cost_codes, "id": int, "fields": {...}}


@dataclass
class Case:
    """One invoice about to be broken, with what stands around it."""

    requisition: Document
    before: Document | None
    commitment: Document
    vendor_code: str
    rng: random.Random
    turn: int  # how many of this label came before: some troubles come in two forms
    repairs: list[Repair] = field(default_factory=list)
    erp_invoices: list[ErpInvoice] = field(default_factory=list)

    def keep(self) -> None:
        """Remember the sound invoice, for the repair."""
        self.repairs.append(
            {"kind": "requisitions", "id": self.requisition["id"], "fields": copy.deepcopy(self.requisition)}
        )


def put_in(label: str, case: Case) -> None:
    """Break the one rule called `label`; a trouble of a whole commitment was already built into it."""
    breaker = _BREAKERS.get(label)
    if breaker:
        breaker(case)


def _shift(figures: Document, name: str, by: Decimal) -> None:
    figures[name] = str(Decimal(figures[name]) + by)


def _lines_sum(case: Case) -> None:
    case.keep()
    figures = case.requisition["summary"]
    for name in ("total_completed_and_stored_to_date", "total_earned_less_retainage", "current_payment_due"):
        _shift(figures, name, CENT)
    _shift(figures, "balance_to_finish_including_retainage", -CENT)


def _header_foots(case: Case) -> None:
    case.keep()
    _shift(case.requisition["summary"], "current_payment_due", CENT)


def _continues_previous(case: Case) -> None:
    """Let the past be edited: this invoice starts from 100 dollars more than the last one ended with."""
    case.keep()
    by = Decimal("100.00")
    item = case.requisition["items"][0]
    for name in ("work_completed_from_previous_application", "total_completed_and_stored_to_date_from_previous",
                 "total_completed_and_stored_to_date"):  # fmt: skip
        _shift(item, name, by)
    figures = case.requisition["summary"]
    for name in ("total_completed_and_stored_to_date", "total_earned_less_retainage",
                 "less_previous_certificates_for_payment"):  # fmt: skip
        _shift(figures, name, by)
    _shift(figures, "balance_to_finish_including_retainage", -by)


def _line_identity(case: Case) -> None:
    """Leave out what was moved from stored materials into previous work."""
    case.keep()
    for item in case.requisition["items"]:
        item["materials_moved"] = "0.00"


def _line_adds_up(case: Case) -> None:
    """Take a dollar of previous work off one line and put it on another, the totals staying as they were."""
    case.keep()
    first, second = case.requisition["items"][:2]
    _shift(first, "work_completed_from_previous_application", Decimal("1.00"))
    _shift(second, "work_completed_from_previous_application", Decimal("-1.00"))


def _unit_price(case: Case) -> None:
    """Let one more unit be counted than is billed."""
    case.keep()
    counted = [item for item in case.requisition["items"] if item["accounting_method"] == "unit"]
    _shift(counted[0], "work_completed_this_period_quantity", Decimal("1.00"))


def _retainage_bounds(case: Case) -> None:
    case.keep()
    lines = read_lines(case.requisition, case.before)
    billable = [position for position, line in enumerate(lines) if line.scheduled > 0]
    least = min(billable, key=lambda position: lines[position].total)
    line = lines[least]
    line.work_retained = line.total + Decimal("250.00") - line.work_held_before
    case.requisition["items"][least]["ssr_manual_override"] = True
    fill(case.requisition, lines, earned(case.before))


def _change_order_unapproved(case: Case) -> None:
    package = case.commitment["change_order_packages"][-1]
    fields = {"change_order_packages": [{"id": package["id"], "status": "approved"}]}
    case.repairs.append({"kind": "commitments", "id": case.commitment["id"], "fields": fields})
    package["status"] = "pending"
    for shown in case.requisition["item_packages"]:
        if shown["id"] == package["id"]:
            shown["status"] = "pending"


def _bill_nothing(case: Case, release: Decimal, work: Decimal) -> None:
    lines = read_lines(case.requisition, case.before)
    for line in lines:
        line.work = line.work_retained = line.new_materials = line.quantity = ZERO
        line.work_released = cents(line.work_held_before * release)
        line.stored = line.stored_before - line.moved
        line.stored_held = line.stored_held_before - line.held_moved
    target = max(lines, key=lambda line: line.previous_work)
    target.work = cents(target.previous_work * work)
    by_quantity(target)
    fill(case.requisition, lines, earned(case.before))


def _nothing_to_post(case: Case) -> None:
    case.keep()
    _bill_nothing(case, ZERO, ZERO)


def _release_only(case: Case) -> None:
    case.keep()
    _bill_nothing(case, Decimal("0.5"), ZERO)
    case.requisition["invoice_type"] = "retainage_release"


def _net_negative(case: Case) -> None:
    case.keep()
    _bill_nothing(case, ZERO, Decimal("-0.10"))


def _unreadable(case: Case) -> None:
    """Send a number where Procore documents text: for money, or for a date."""
    case.keep()
    if case.turn % 2 == 0:
        due = case.requisition["summary"]["current_payment_due"]
        case.requisition["summary"]["current_payment_due"] = float(due)
    else:
        case.requisition["billing_date"] = int(case.requisition["billing_date"].replace("-", ""))


def _number_missing(case: Case) -> None:
    case.keep()
    case.requisition["invoice_number"] = ""


def _number_too_long(case: Case) -> None:
    case.keep()
    case.requisition["invoice_number"] = f"{case.requisition['contract_name'].upper()[:10]}-PAY-APP-" + (
        f"{case.requisition['requisition_end']}-{case.requisition['number']:02d}"
    )


def _already_in_erp(case: Case) -> None:
    case.keep()
    case.repairs[-1]["fields"]["invoice_number"] += "-R"
    billed = date.fromisoformat(case.requisition["billing_date"])
    state: Any = ("posted", "history")[case.turn % 2]
    number = case.requisition["invoice_number"]
    case.erp_invoices.append(ErpInvoice(case.vendor_code, number, gross(case.requisition), billed, state))


def _dates(case: Case) -> None:
    case.keep()
    billed = date.fromisoformat(case.requisition["billing_date"])
    if case.turn % 2 == 0:
        case.requisition["billing_date"] = billed.replace(year=2062, day=1).isoformat()
    else:
        start = date.fromisoformat(case.requisition["requisition_start"])
        case.requisition["requisition_end"] = (start - timedelta(days=9)).isoformat()


def _currency(case: Case) -> None:
    case.keep()
    case.requisition["currency_configuration"] = {
        "currency_iso_code": "CAD",
        "currency_exchange_rate": 0.73,
        "base_currency_iso_code": "USD",
    }


def _tax_not_carried(case: Case) -> None:
    case.keep()
    figures = dict(case.requisition["summary"])
    tax = cents(gross(case.requisition) * Decimal("0.05"))
    figures["tax_applicable_to_this_payment"] = str(tax)
    _shift(figures, "current_payment_due", tax)
    write_summary(case.requisition, figures)


def duplicate(first: Document, second: Document, pair: str) -> Repair:
    """Give the second invoice the number of the first, as it is or as a careless typist would write it."""
    repair = {"kind": "requisitions", "id": second["id"], "fields": copy.deepcopy(second)}
    number: str = first["invoice_number"]
    if pair == "normalised":
        digits = "".join(char for char in number if char.isdigit())
        first["invoice_number"] = f"INV-00{digits}"
        number = f"inv {digits}"
    second["invoice_number"] = number
    return repair


_BREAKERS: dict[str, Callable[[Case], None]] = {
    "lines-sum": _lines_sum,
    "header-foots": _header_foots,
    "continues-previous": _continues_previous,
    "line-identity": _line_identity,
    "line-adds-up": _line_adds_up,
    "retainage-bounds": _retainage_bounds,
    "unit-price": _unit_price,
    "change-order-unapproved": _change_order_unapproved,
    "nothing-to-post": _nothing_to_post,
    "release-only": _release_only,
    "net-negative": _net_negative,
    "unreadable": _unreadable,
    "number-missing": _number_missing,
    "number-too-long": _number_too_long,
    "already-in-erp": _already_in_erp,
    "dates": _dates,
    "currency": _currency,
    "tax-not-carried": _tax_not_carried,
}
