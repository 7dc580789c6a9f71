"""Commitments: a subcontract or purchase order with its schedule of values and its change orders."""

from __future__ import annotations

import random
from decimal import Decimal

from tieout.sandbox.contractor.applications import Deal
from tieout.sandbox.contractor.directory import Directory
from tieout.sandbox.contractor.documents import Document
from tieout.sandbox.contractor.erp_books import ErpSubcontract
from tieout.sandbox.contractor.erp_codes import plain
from tieout.sandbox.contractor.g703 import ZERO, cents
from tieout.sandbox.contractor.plans import Plan
from tieout.sandbox.contractor.trades import (
    AREAS,
    CHANGES,
    COST_TYPES,
    STALE_CODE,
    SUPPLIES,
    TRADES,
    UNMAPPED_CODE,
    UNMAPPED_TYPE,
    Trade,
)

TYPES = {row[0]: row[:3] for row in (*COST_TYPES, (*UNMAPPED_TYPE, "", "", ""))}
NEVER = -1  # a line of the schedule that no invoice ever shows


def strike(directory: Directory, plan: Plan, lines: int | None, varied: bool) -> Deal:
    """Sign the commitment that a plan asks for, in Procore and in the ERP."""
    rng, project = directory.rng, directory.projects[plan.project]
    label = plan.newest
    trade = _trade_for(rng, label, varied)
    vendor = directory.vendor_for(trade, label)
    commitment = _commitment(directory, plan, trade, project, vendor)
    sov = _schedule(directory, plan, trade, commitment, lines or rng.randint(5, 20))
    packages = _change_orders(directory, plan, trade, commitment, sov)
    _write_amounts(commitment, sov, packages)
    directory.commitments.append(commitment)
    if project["id"] not in vendor["project_ids"]:
        vendor["project_ids"].append(project["id"])
    _tell_the_erp(directory, commitment, vendor, project, sov)
    deal = Deal(project, vendor, commitment, sov, packages, directory.papers(plan, project, vendor),
                rate=_rate(rng))  # fmt: skip
    _settle_terms(directory, deal, plan, trade, varied)
    return deal


def _settle_terms(directory: Directory, deal: Deal, plan: Plan, trade: Trade, varied: bool) -> None:
    rng = directory.rng
    deal.must_store = plan.newest == "line-identity"
    deal.slides = varied and not trade.stores and rng.random() < 0.3
    deal.stores = trade.stores
    if deal.slides:
        deal.hand_set = {2}
    if varied and not plan.newest and plan.months > 1:
        whim = directory.next_whim()
        deal.over_bills, deal.releases, deal.corrects = whim == 0, whim == 1, whim == 2
    elif not varied and plan.months > 2:
        deal.corrects = rng.random() < 0.1


def _trade_for(rng: random.Random, label: str, varied: bool) -> Trade:
    if label == "line-identity":
        return rng.choice([trade for trade in TRADES if trade.stores])
    if label == "unit-price":
        return rng.choice([trade for trade in TRADES if trade.unit])
    return rng.choice(TRADES) if varied else rng.choice([trade for trade in TRADES if not trade.unit])


def _rate(rng: random.Random) -> Decimal:
    return Decimal(rng.choice(("0.10", "0.10", "0.10", "0.05")))


def _commitment(directory: Directory, plan: Plan, trade: Trade, project: Document, vendor: Document) -> Document:
    rng, label = directory.rng, plan.newest
    turn = directory.contracts_on[project["id"]] = directory.contracts_on.get(project["id"], 0) + 1
    job = directory.erp.jobs[project["id"]].number
    is_order = label == "purchase-order"
    erp_number = f"{job}-{turn:03d}"
    by_row = turn % 6 == 4 and label != "subcontract-unmapped"
    code = None if label == "subcontract-unmapped" or by_row else erp_number
    commitment: Document = {
        "id": directory.new_id(),
        "number": f"{'PO' if is_order else 'SC'}-{erp_number}",
        "title": rng.choice(SUPPLIES) if is_order else trade.title,
        "status": "Approved",
        "executed": True,
        "private": True,
        "description": f"{trade.title} for {project['name']}",
        "origin_id": code,
        "origin_code": code,
        "origin_data": None,
        "vendor": {
            "id": vendor["id"],
            "company": vendor["name"],
            "origin_id": vendor["origin_id"],
            "origin_data": vendor["origin_data"],
        },
        "project": {"id": project["id"], "name": project["name"]},
        "accounting_method": "unit" if _is_by_unit(rng, trade, label) else "amount",
        "requisitions_are_enabled": True,
        "billing_schedule_of_values_status": "approved",
        "contract_date": "2026-01-05",
        "contract_start_date": "2026-01-12",
        "contract_estimated_completion_date": "2027-06-30",
        "signed_contract_received_date": "2026-01-09",
        "created_at": "2026-01-05T18:00:00Z",
        "updated_at": "2026-01-09T18:00:00Z",
        "deleted_at": None,
        "invoice_contacts": [],
        "attachments": [],
        "custom_fields": {},
        "change_order_packages": [],
        "payments_issued": [],
        "line_items": [],
        "_type": "PurchaseOrderContract" if is_order else "WorkOrderContract",
        "_erp_number": erp_number,
        "_moves_materials": label == "line-identity" or rng.random() < 0.4,
        "_detailed": not is_order and rng.random() < 0.12,
    }
    if by_row:
        directory.erp.map("subcontract", commitment["id"], erp_number)
    return commitment


def _is_by_unit(rng: random.Random, trade: Trade, label: str) -> bool:
    return label == "unit-price" or bool(trade.unit and label != "purchase-order" and rng.random() < 0.7)


def _schedule(directory: Directory, plan: Plan, trade: Trade, commitment: Document, count: int) -> list[Document]:
    rng = directory.rng
    texts = [f"{work}{place}" for place in ("", *(f", {area}" for area in AREAS)) for work in trade.work]
    sov = []
    for position in range(count):
        code = trade.codes[position % len(trade.codes)][0]
        kind = "M" if trade.stores and position % 4 == 1 else "E" if position % 11 == 9 else "S"
        if position == 0:
            code = {"phase-unmapped": UNMAPPED_CODE[0], "coding-not-in-erp": STALE_CODE[0]}.get(plan.newest, code)
            kind = UNMAPPED_TYPE[0] if plan.newest == "cost-type-unmapped" else "S"
        amount = Decimal(rng.randrange(4_000, 120_000, 250))
        line = _line(directory, commitment, code, kind, texts[position % len(texts)], amount, position + 1)
        if commitment["accounting_method"] == "unit":
            _price(line, trade.unit, amount, rng)
        sov.append(line)
    return sov


def _price(line: Document, unit: str, about: Decimal, rng: random.Random) -> None:
    price = cents(Decimal(rng.randrange(300, 9000)) / 100)
    quantity = cents(about / price).to_integral_value() + ZERO
    line.update(amount=str(price * quantity), unit_cost=str(price), quantity=str(quantity), uom=unit)
    line["amount"] = line["total_amount"] = line["extended_amount"] = str(cents(price * quantity))
    line["extended_type"] = "calculated"


def _line(
    directory: Directory, commitment: Document, full_code: str, kind: str, text: str, amount: Decimal, position: int
) -> Document:
    project = commitment["project"]
    cost_code = next(code for code in directory.cost_codes_of(project["id"]) if code["full_code"] == full_code)
    code, name, base_type = TYPES[kind]
    erp_type = "MAT" if kind == "M" else None
    line_id = directory.new_id()
    directory.new_id()  # the id after it names the line of the subcontractor's own, more detailed schedule
    return {
        "id": line_id,
        "amount": str(cents(amount)),
        "total_amount": str(cents(amount)),
        "extended_amount": str(cents(amount)),
        "extended_type": "manual",
        "quantity": "0.0",
        "unit_cost": "0.0",
        "uom": None,
        "description": text,
        "position": position,
        "cost_code": {key: cost_code[key] for key in ("id", "code", "full_code", "name", "origin_id", "origin_code")},
        "line_item_type": {
            "id": directory.type_id(kind),
            "code": code,
            "name": name,
            "base_type": base_type,
            "origin_id": erp_type,
            "origin_data": None,
        },
        "wbs_code": {
            "id": directory.wbs_id(cost_code["id"], kind),
            "flat_code": f"{full_code}.{code}",
            "description": f"{cost_code['name']}.{name}",
        },
        "tax_code_id": None,
        "origin_id": None,
        "origin_data": None,
        "holder": {"id": commitment["id"], "holder_type": commitment["_type"]},
        "company": directory.company(),
        "project": dict(project),
        "created_at": "2026-01-05T18:00:00Z",
        "updated_at": "2026-01-05T18:00:00Z",
        "_from_month": 0,
        "_change_order_package_id": None,
        "_accounting_method": commitment["accounting_method"],
    }  # fmt: skip


def _change_orders(
    directory: Directory, plan: Plan, trade: Trade, commitment: Document, sov: list[Document]
) -> list[Document]:
    """Agree a change order or two; one line of each, and for some its twin of nothing in the schedule."""
    rng, packages = directory.rng, list[Document]()
    wanted = plan.newest == "change-order-unapproved"
    if commitment["_type"] == "PurchaseOrderContract" or plan.is_trouble:
        return packages
    count = 1 if wanted else rng.choice((0, 0, 1, 2))
    for position in range(1, count + 1):
        month = plan.months - 1 if wanted else rng.randrange(plan.months)
        deducts = not wanted and rng.random() < 0.25
        amount = Decimal(rng.randrange(1_000, 12_000, 50)) * (-1 if deducts else 1)
        package = _package(directory, commitment, position, rng.choice(CHANGES), month)
        packages.append(package)
        line = _line(directory, commitment, trade.codes[0][0], "S", package["title"], amount, len(sov) + 1)
        line |= {"holder": {"id": package["id"], "holder_type": "ChangeOrderPackage"}}
        line |= {"_from_month": month, "_change_order_package_id": package["id"], "_accounting_method": "amount"}
        sov.append(line)
        if rng.random() < 0.4:
            twin = _line(directory, commitment, trade.codes[0][0], "S", package["title"], ZERO, len(sov) + 1)
            sov.append(twin | {"_from_month": month})
    return packages


def _package(directory: Directory, commitment: Document, position: int, title: str, month: int) -> Document:
    return {
        "id": directory.new_id(),
        "contract_id": commitment["id"],
        "number": f"{position:03d}",
        "title": title,
        "status": "approved",
        "origin_id": None,
        "origin_data": None,
        "due_date": None,
        "invoiced_date": None,
        "paid_date": None,
        "reviewed_at": "2026-03-02T18:00:00Z",
        "created_at": "2026-02-16T18:00:00Z",
        "updated_at": "2026-03-02T18:00:00Z",
        "deleted_at": None,
        "_from_month": month,
    }


def _write_amounts(commitment: Document, sov: list[Document], packages: list[Document]) -> None:
    original = sum((Decimal(x["amount"]) for x in sov if not x["_change_order_package_id"]), ZERO)
    changes = sum((Decimal(x["amount"]) for x in sov if x["_change_order_package_id"]), ZERO)
    commitment["line_items"], commitment["change_order_packages"] = sov, packages
    commitment |= {
        "grand_total": str(original),
        "revised_contract": str(original + changes),
        "pending_revised_contract": str(original + changes),
        "approved_change_orders": str(changes),
        "pending_change_orders": "0.00",
        "draft_change_orders_amount": "0.00",
        "total_payments": "0.00",
        "total_draw_requests_amount": "0.00",
        "total_requisitions_amount": "0.00",
        "remaining_balance_outstanding": str(original + changes),
        "percentage_paid": "0.00",
        "retainage_percent": "10.00",
    }


def _tell_the_erp(
    directory: Directory, commitment: Document, vendor: Document, project: Document, sov: list[Document]
) -> None:
    erp, job = directory.erp, directory.erp.jobs[project["id"]].number
    number = commitment["_erp_number"]
    is_order = commitment["_type"] == "PurchaseOrderContract"
    for line in sov:
        code, kind = line["cost_code"], line["line_item_type"]["code"]
        if code["full_code"] == STALE_CODE[0]:
            if directory.stale_phase_is_closed(project["id"]):
                erp.add_phase(job, code["full_code"], code["name"], kind, status="I")
            continue
        erp.add_phase(job, code["full_code"], code["name"], kind)
        if not is_order:
            erp.add_to_subcontract(number, code["full_code"], kind, Decimal(line["amount"]))
    if not is_order:
        title = plain(commitment["title"])
        total = Decimal(commitment["revised_contract"])
        erp.subcontracts[number] = ErpSubcontract(number, directory.erp_code_of_vendor(vendor), job, title, "A", total)
