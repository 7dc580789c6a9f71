"""Payments Issued: what the contractor says it paid on a commitment, one record for each payment.

Modelled: a new payment is `paid`; negative amounts are taken unless a control refuses them; a payment changes the
invoice's `payment_summary` without touching its `updated_at`.
"""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

from tieout.sandbox.contractor.documents import Document, payment_summary
from tieout.sandbox.contractor.g703 import ZERO, cents, percent
from tieout.sandbox.procore.directory import DEFAULT_SIZE, LARGEST_CONTRACTS, commitments_project
from tieout.sandbox.procore.store import COMMITMENT, PAYMENT, PROJECT, Store
from tieout.sandbox.procore.wire import (
    Answer,
    Call,
    forbidden,
    invalid,
    is_amount,
    listing,
    malformed,
    not_found,
    page_of,
    window,
)

FREE_WHEN_SYNCED = {"attachments", "origin_id", "origin_data", "payment_number", "prostore_file_ids", "upload_ids"}
METHODS = ("check", "credit_card", "electronic")
WRITABLE = ("amount", "date", "payment_number", "check_number", "invoice_number", "requisition_id",
            "draw_request_number", "notes", "origin_id", "origin_data")  # fmt: skip
ACCEPTED = {*WRITABLE, "payment_method", "invoice_date", "attachments", "prostore_file_ids", "upload_ids"}
WHOLE_NUMBERS = ("payment_number", "requisition_id", "draw_request_number")
TEXTS = ("check_number", "invoice_number", "notes", "origin_id", "origin_data")
SYNCED = "The Contract Payment cannot be edited or deleted because it is synced with an ERP system"
SHOWN_ON_CONTRACT = ("id", "amount", "check_number", "created_at", "date", "draw_request_number", "invoice_number",
                     "notes", "payment_number", "attachments", "origin_id", "origin_data")  # fmt: skip


def index(call: Call) -> Answer:
    """List one commitment's payments; there is no filter and no sort."""
    contract = _contract(call)
    page = page_of(call, DEFAULT_SIZE, LARGEST_CONTRACTS)
    values = (PAYMENT, contract["id"])
    total = call.store.rows("select count(*) as n from records where kind = ? and parent_id = ?", values)[0]["n"]
    offset, size = window(call, page)
    sql = "select body from records where kind = ? and parent_id = ? order by id limit ? offset ?"
    rows = call.store.rows(sql, (*values, size, offset))
    return listing(call, [row["body"] for row in rows], page, total)


def show(call: Call) -> Answer:
    return Answer(_find(call))


def create(call: Call) -> Answer:
    contract, given = _contract(call), call.wrapped("contract_payment")
    for name in ("amount", "date"):
        if given.get(name) in (None, ""):
            raise invalid(**{name: "can't be blank"})
    _check(call, contract, given, own_id=0)
    at = call.store.instant()
    numbers = [known["payment_number"] or 0 for known in _of(call.store, contract["id"])]
    payment: Document = {
        "id": call.store.new_id(),
        "contract_id": contract["id"],
        "project_id": contract["project"]["id"],
        "created_at": at,
        "updated_at": at,
        "status": "paid",
        **dict.fromkeys(WRITABLE),
        "payment_number": max(numbers, default=0) + 1,
        "date_payment_initiated": None,
        "date_payment_settled": None,
        "external_payment_id": None,
        "origin_code": None,
        "attachments": [],
    }
    payment |= {name: given[name] for name in WRITABLE if name in given}
    payment["amount"] = str(cents(Decimal(given["amount"])))
    call.store.put(PAYMENT, payment)
    _follow(call.store, contract["id"], [payment["requisition_id"]])
    return Answer(payment, status=201)


def change(call: Call) -> Answer:
    contract, given = _contract(call), call.wrapped("contract_payment")
    payment = _find(call)
    if payment["origin_id"] and not set(given) <= FREE_WHEN_SYNCED:
        raise invalid(base=SYNCED)
    _check(call, contract, given, own_id=payment["id"])
    touched = [payment["requisition_id"], given.get("requisition_id")]
    payment |= {name: given[name] for name in (*WRITABLE, "attachments") if name in given}
    payment["amount"] = str(cents(Decimal(payment["amount"])))
    payment["updated_at"] = call.store.instant()
    call.store.put(PAYMENT, payment)
    _follow(call.store, contract["id"], touched)
    return Answer(payment)


def delete(call: Call) -> Answer:
    contract, payment = _contract(call), _find(call)
    if payment["origin_id"]:
        raise invalid(base=SYNCED)
    call.store.remove(PAYMENT, payment["id"])
    _follow(call.store, contract["id"], [payment["requisition_id"]])
    return Answer(status=204)


def _contract(call: Call) -> Document:
    project_id = commitments_project(call)
    project = call.store.find(PROJECT, project_id) or {}
    if not project.get("_payments_issued", True):
        raise forbidden("The Payments Issued tab is not enabled for this project.")
    given = call.value("contract_id") or call.body.get("contract_id")
    if given is None or not str(given).isdigit():
        raise malformed("contract_id is required", "contract_id")
    contract = call.store.find(COMMITMENT, int(given))
    if contract is None or contract["project"]["id"] != project_id:
        raise not_found("Contract")
    return contract


def _find(call: Call) -> Document:
    contract = _contract(call)
    payment = call.store.find(PAYMENT, call.path_id())
    if payment is None or payment["contract_id"] != contract["id"]:
        raise not_found("Contract payment")
    return payment


def _check(call: Call, contract: Document, given: Document, own_id: int) -> None:
    unknown = set(given) - ACCEPTED
    if unknown:
        raise malformed(f"unpermitted parameter: {', '.join(sorted(unknown))}", sorted(unknown)[0])
    _check_amount(call, given)
    for name in WHOLE_NUMBERS:
        if given.get(name) is not None and (not isinstance(given[name], int) or isinstance(given[name], bool)):
            raise invalid(**{name: "has incompatible type"})
    for name in TEXTS:
        if given.get(name) is not None and not isinstance(given[name], str):
            raise invalid(**{name: "has incompatible type"})
    if given.get("payment_method") not in (None, *METHODS):
        raise invalid(payment_method="is not included in the list")
    for name in ("date", "invoice_date"):
        if given.get(name) is not None and not _is_date(given[name]):
            raise invalid(**{name: "is not a date"})
    if given.get("requisition_id") is not None:
        requisition = call.store.find_requisition(given["requisition_id"])
        if requisition is None or requisition["commitment_id"] != contract["id"]:
            raise invalid(requisition_id="does not belong to this contract")
    if given.get("origin_id"):
        sql = "select 1 from records where kind = ? and origin_id = ? and id <> ?"
        if call.store.rows(sql, (PAYMENT, given["origin_id"], own_id)):
            raise invalid(origin_id="has already been taken")


def _check_amount(call: Call, given: Document) -> None:
    if "amount" not in given:
        return
    if not is_amount(given["amount"]):
        raise invalid(amount="has incompatible type")
    if Decimal(given["amount"]) < 0 and call.quirks.refuse_negative_payments:
        raise invalid(amount="must be greater than or equal to 0")


def _is_date(value: Any) -> bool:
    try:
        date.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return True


def _of(store: Store, contract_id: int) -> list[Document]:
    rows = store.rows("select raw from records where kind = ? and parent_id = ? order by id", (PAYMENT, contract_id))
    return [json.loads(row["raw"]) for row in rows]


def _follow(store: Store, contract_id: int, requisition_ids: list[int | None]) -> None:
    """Carry the sums of the payments into the commitment and into the invoices concerned."""
    payments, contract = _of(store, contract_id), store.find(COMMITMENT, contract_id)
    assert contract
    paid = sum((Decimal(payment["amount"]) for payment in payments), ZERO)
    revised = Decimal(contract["revised_contract"])
    contract |= {
        "payments_issued": [{name: payment[name] for name in SHOWN_ON_CONTRACT} for payment in payments],
        "total_payments": str(paid),
        "percentage_paid": percent(paid, revised),
        "remaining_balance_outstanding": str(revised - paid),
        "updated_at": store.instant(),
    }
    store.put(COMMITMENT, contract)
    for requisition_id in {one for one in requisition_ids if one}:
        requisition = store.find_header(requisition_id)
        if requisition:
            mine = (Decimal(p["amount"]) for p in payments if p["requisition_id"] == requisition_id)
            due = str(requisition["summary"]["current_payment_due"])
            requisition["payment_summary"] = payment_summary(due, str(sum(mine, ZERO)))
            store.put_header(requisition)
