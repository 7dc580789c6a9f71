"""A requisition as the JSON that Procore answers: opened for a commitment, filled with figures, recomputed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tieout.sandbox.contractor.g703 import ZERO, Line, carry_forward, item_figures, percent_complete, read_item, summary

Document = dict[str, Any]
NewId = Callable[[], int]

CHANGE_ITEM = "change_order_item"


@dataclass(frozen=True)
class Paper:
    """What a new invoice says about itself apart from its figures."""

    requisition_id: int
    period: Mapping[str, Any]
    invoice_number: str
    status: str
    billing_date: str
    author: Mapping[str, Any]
    at: str  # when it was created, as Procore writes an instant


def open_invoice(
    paper: Paper, project: Document, commitment: Document, vendor: Document, before: Document | None
) -> Document:
    """Lay out the header of a commitment's next invoice; its items and summary are filled in later."""
    number = int(before["number"]) + 1 if before else 1
    period = paper.period
    return {
        "id": paper.requisition_id,
        "previous_requisition_id": before["id"] if before else None,
        "project_id": project["id"],
        "commitment_id": commitment["id"],
        "commitment_type": commitment["_type"],
        "period_id": period["id"],
        "number": number,
        "invoice_number": paper.invoice_number,
        "invoice_type": "progress",
        "contract_invoicing_method": "progressive",
        "accounting_method": commitment["accounting_method"],
        "contract_name": commitment["title"],
        "vendor_name": vendor["name"],
        "vendor_id": vendor["id"],
        "status": paper.status,
        "erp_status": "not_synced",
        "origin_id": None,
        "origin_data": None,
        "billing_date": paper.billing_date,
        "requisition_start": period["start_date"],
        "requisition_end": period["end_date"],
        "payment_date": None,
        "submitted_at": None if paper.status == "draft" else paper.billing_date,
        "created_at": paper.at,
        "updated_at": paper.at,
        "final": False,
        "deletable": paper.status == "draft",
        "move_materials_to_previous_work_completed": commitment["_moves_materials"],
        "percent_complete": "0.00%",
        "total_claimed_amount": "0.00",
        "electronic_signature_id": None,
        "comment": None,
        "payment_summary": {},
        "summary": {},
        "summary_text": _summary_text(project, commitment, vendor, period, number),
        "created_by": dict(paper.author) | {"company_name": vendor["name"]},
        "subtiers_certified_by": None,
        "custom_fields": {},
        "currency_configuration": {
            "currency_iso_code": "USD",
            "currency_exchange_rate": 1.0,
            "base_currency_iso_code": "USD",
        },
        "attachments": [],
        "tax_summary": [],
        "items": [],
        "item_packages": [],
    }


def _summary_text(
    project: Document, commitment: Document, vendor: Document, period: Mapping[str, Any], number: int
) -> Document:
    return {
        "project_name": project["name"],
        "project_number": project["project_number"],
        "to_general_contractor": project["company"]["name"],
        "requisition_period_start": period["start_date"],
        "requisition_period_end": period["end_date"],
        "subcontractor_name": vendor["name"],
        "subcontractor_street": vendor["address"],
        "subcontractor_city": vendor["city"],
        "subcontractor_state_code": vendor["state_code"],
        "subcontractor_zip": vendor["zip"],
        "subcontractor_country_code": vendor["country_code"],
        "application_number": str(number),
        "contract_for": commitment["title"],
        "contract_date": commitment["contract_date"],
    }


def item_of(sov_line: Document, item_id: int, detailed: bool) -> Document:
    """Lay out the item that bills one line of the commitment; `detailed` where the sub's own schedule rules."""
    package_id = sov_line["_change_order_package_id"]
    item: Document = {
        "id": item_id,
        "item_type": CHANGE_ITEM if package_id else "contract_detail_item" if detailed else "contract_item",
        "accounting_method": sov_line["_accounting_method"],
        "cost_code_id": sov_line["cost_code"]["id"],
        "line_item_id": None if package_id else sov_line["id"],
        "detail_line_item_id": sov_line["id"] + 1 if detailed and not package_id else None,
        "description_of_work": sov_line["description"],
        "wbs_code": sov_line["wbs_code"],
        "comment": None,
        "status": "approved",
        "position": sov_line["position"],
        "line_number": str(sov_line["position"]),
        "ssr_manual_override": False,
        "previous_progress_id": None,
        "taxes": [],
        "uom": sov_line["uom"],
    }
    if package_id:
        item["change_order_package_id"] = package_id
        item["commitment_line_item_id"] = sov_line["id"]
        item["commitment_line_item_origin_id"] = sov_line["origin_id"]
    return item


def package_of(package: Document, position: int) -> Document:
    """Lay out the heading under which an invoice lists the items of one change order."""
    return {
        "id": package["id"],
        "contract_id": package["contract_id"],
        "change_order_id": package["id"],
        "number": package["number"],
        "title": package["title"],
        "status": package["status"],
        "position": position,
        "change_order_acronym_number": f"CCO #{package['number']}",
        "change_order_request": None,
        "batch": None,
    }


def line_id(item: Mapping[str, Any]) -> int:
    """Name the commitment's line that the item bills: the thread from one invoice to the next."""
    return int(item.get("line_item_id") or item.get("commitment_line_item_id") or item["id"])


def fill(requisition: Document, lines: Sequence[Line], earned_before: Decimal, tax: Decimal = ZERO) -> None:
    """Write the figures of `lines`, one for each item, into the items and add up the header."""
    base: list[Line] = []
    changes: list[tuple[Line, bool]] = []
    for item, line in zip(requisition["items"], lines, strict=True):
        item.update(item_figures(line))
        if item["item_type"] == CHANGE_ITEM:
            changes.append((line, item["previous_progress_id"] is None))
        else:
            base.append(line)
    write_summary(requisition, summary(base, changes, earned_before, tax))


def write_summary(requisition: Document, figures: dict[str, str]) -> None:
    """Put the G702 into the header, with the fields that repeat parts of it."""
    start, end = requisition["requisition_start"], requisition["requisition_end"]
    requisition["summary"] = figures | {"formatted_period": f"{start} to {end}"}
    requisition["percent_complete"] = percent_complete(figures)
    requisition["total_claimed_amount"] = figures["current_payment_due"]
    paid = (requisition.get("payment_summary") or {}).get("manual", {}).get("amount", "0.00")
    requisition["payment_summary"] = payment_summary(figures["current_payment_due"], paid)


def payment_summary(due: str, paid: str) -> Document:
    """Say what was paid by hand-entered payments; seen on live invoices, though not in the published schema."""
    return {
        "invoice_paid_in_full": Decimal(paid) >= Decimal(due),
        "invoiced_amount_due": due,
        "procore_pay": {"amount": "0.00"},
        "manual": {"amount": paid},
    }


def read_lines(requisition: Document, before: Document | None) -> list[Line]:
    """Take up the figures of every item, each beside its own line on the invoice before."""
    earlier = {line_id(item): item for item in before["items"]} if before else {}
    return [read_item(item, earlier.get(line_id(item))) for item in requisition["items"]]


def earned(requisition: Document | None) -> Decimal:
    """Line 6 of the form, which the next invoice deducts as certificates already issued."""
    return Decimal(requisition["summary"]["total_earned_less_retainage"]) if requisition else ZERO


def recompute(requisition: Document, before: Document | None) -> None:
    """Work the totals out again after someone changed an item."""
    tax = Decimal(str(requisition["summary"].get("tax_applicable_to_this_payment", "0.00")))
    fill(requisition, read_lines(requisition, before), earned(before), tax)


def carry_items(requisition: Document, before: Document, sound: Sequence[Line], new_id: NewId) -> list[Line]:
    """Take the lines of the invoice before over to the new one; nothing is billed on them yet."""
    moves = bool(requisition["move_materials_to_previous_work_completed"])
    requisition["items"] = [
        item | {"id": new_id(), "previous_progress_id": item["id"], "comment": None} for item in before["items"]
    ]
    requisition["item_packages"] = [dict(package) for package in before["item_packages"]]
    return [carry_forward(line, moves) for line in sound]
