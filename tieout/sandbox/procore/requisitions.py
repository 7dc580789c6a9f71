"""Subcontractor invoices, which Procore calls requisitions: listed, shown, opened, changed, locked.

Every total is computed here, never accepted. That a locked invoice still takes `origin_id`, `origin_data` and
attachments is modelled.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from tieout.sandbox.contractor.documents import (
    CHANGE_ITEM,
    Document,
    Paper,
    carry_items,
    earned,
    fill,
    item_of,
    line_id,
    open_invoice,
    package_of,
    read_lines,
)
from tieout.sandbox.contractor.g703 import Line, cents, detail_figures
from tieout.sandbox.procore.oauth import owner_id
from tieout.sandbox.procore.store import COMMITMENT, PERIOD, PROJECT, USER, VENDOR, Store, as_text, dumps
from tieout.sandbox.procore.wire import (
    Answer,
    Call,
    Refusal,
    bad_request,
    between,
    equals,
    invalid,
    is_amount,
    listing,
    not_found,
    page_of,
    window,
)

DEFAULT_SIZE, LARGEST, LARGEST_EXTENDED = 30, 1000, 250
STATUSES = (
    "draft",
    "under_review",
    "revise_and_resubmit",
    "approved",
    "approved_as_noted",
    "pending_owner_approval",
)
FREE_WHEN_LOCKED = {"origin_id", "origin_data", "attachments", "upload_ids", "prostore_file_ids"}
WRITABLE = FREE_WHEN_LOCKED | {
    "period_id", "requisition_start", "requisition_end", "billing_date", "final", "invoice_number",
    "payment_date", "status", "submitted_at", "items",
}  # fmt: skip
NOT_IN_V1_0 = ("vendor_id", "payment_summary", "items", "item_packages")
MONEY = (
    "work_completed_this_period",
    "materials_presently_stored",
    "work_completed_retainage_retained_this_period",
    "materials_stored_retainage_currently_retained",
    "work_completed_retainage_released_this_period",
    "work_completed_this_period_quantity",
    "subcontractor_claimed_amount",
)
HIDING_PLACES = ("changes", "lists")
ONLY_LATEST = "Only the most recently created Invoice is editable or deletable"
LOCKED = "The invoice is not editable because it has been synced with ERP"
NO_PERIOD = "The project must have an open billing period (or admin can specify a period_id) to create an invoice"
USUAL_RATE = Decimal("0.10")


def index(call: Call) -> Answer:
    """List a project's invoices, the last changed first: a row that is edited meanwhile moves to another page."""
    where: list[str] = ["project_id = ?"]
    values: list[Any] = [call.project_id()]
    for name in ("id", "commitment_id", "period_id"):
        equals(call, name, values, where, is_number=True)
    for name in ("status", "origin_id"):
        equals(call, name, values, where)
    for name in ("created_at", "updated_at"):
        between(call, name, values, where)
    if call.filters("is_last") and call.filters("is_last")[0] != "false":
        where.append("number = (select max(number) from requisitions o where o.commitment_id = r.commitment_id)")
    if hidden := _hidden(call):
        where.append(f"id not in ({','.join(hidden)})")
    condition, view = " and ".join(where), call.value("view") or "default"
    page = page_of(call, DEFAULT_SIZE, LARGEST_EXTENDED if view in ("extended", "items") else LARGEST)
    total = call.store.rows(f"select count(*) as n from requisitions r where {condition}", values)[0]["n"]
    offset, size = window(call, page)
    sql = f"select * from requisitions r where {condition} order by updated_at desc, id desc limit ? offset ?"
    rows = call.store.rows(sql, [*values, size, offset])
    return listing(call, [_text(call, row, view) for row in rows], page, total)


def _hidden(call: Call) -> list[str]:
    """What this list leaves out in silence, as a test or the demo has asked."""
    scopes = call.store.get("hidden", {})
    if call.filters("updated_at"):
        return sorted(scopes)
    by_name = call.filters("status") or call.filters("id")
    return [] if by_name else sorted(key for key, scope in scopes.items() if scope == "lists")


def _text(call: Call, row: Any, view: str) -> str:
    if call.path["version"] == "1.1":
        return as_text(row, view)
    if row["verbatim"] is not None:
        return str(row["verbatim"])
    header = json.loads(row["header"])
    return dumps({key: value for key, value in header.items() if key not in NOT_IN_V1_0})


def show(call: Call) -> Answer:
    return _shown(call, _find_header(call)["id"])


def _shown(call: Call, requisition_id: int, status: int = 200) -> Answer:
    row = call.store.rows("select * from requisitions where id = ?", (requisition_id,))[0]
    return Answer(text=_text(call, row, call.value("view") or "default"), status=status)


def _find(call: Call, name: str = "id") -> Document:
    found = call.store.find_requisition(_find_header(call, name)["id"])
    assert found
    return found


def _find_header(call: Call, name: str = "id") -> Document:
    project_id = call.project_id()
    header = call.store.find_header(call.path_id(name))
    if header is None or header["project_id"] != project_id:
        raise not_found("Requisition")
    return header


def detail(call: Call) -> Answer:
    """The flat G703: every line, whatever its kind."""
    requisition = _find(call, "requisition_id")
    lines = read_lines(requisition, call.store.find_requisition(requisition["previous_requisition_id"]))
    return Answer(
        [
            item | detail_figures(line) | {"item_number": number}
            for number, (item, line) in enumerate(zip(requisition["items"], lines, strict=True), 1)
        ]
    )


def items_of(kind: str) -> Any:
    """Make the endpoint that lists an invoice's items of one kind."""

    def endpoint(call: Call) -> Answer:
        packages = call.filters("change_order_id")
        found = [item for item in _find(call, "requisition_id")["items"] if item["item_type"] == kind]
        if packages:
            found = [item for item in found if str(item["change_order_package_id"]) in packages]
        page = page_of(call, DEFAULT_SIZE, LARGEST)
        offset, size = window(call, page)
        texts = [dumps(item) for item in found[offset : offset + size]]
        return listing(call, texts, page, len(found))

    return endpoint


def create(call: Call) -> Answer:
    project_id, given = call.project_id(), call.wrapped("requisition")
    commitment = call.store.find(COMMITMENT, call.body.get("commitment_id") or 0)
    if commitment is None or commitment["project"]["id"] != project_id:
        raise not_found("Commitment")
    if commitment["status"] not in ("Approved", "Complete"):
        raise invalid(commitment_id="must have a status of approved or complete")
    if commitment["billing_schedule_of_values_status"] != "approved":
        raise Refusal(400)  # an unmet rule of the schedule of values is answered without a word
    period = _period(call, project_id, given.get("period_id"))
    _check_values(call, given, None)
    requisition = open_next(call.store, commitment, period, given)
    _write_items(call.store, requisition, given.get("items") or [])
    call.store.put_requisition(requisition)
    return _shown(call, requisition["id"], status=201)


def _period(call: Call, project_id: int, period_id: Any) -> Document:
    if period_id is not None:
        period = call.store.find(PERIOD, period_id)
        if period is None or period["project_id"] != project_id:
            raise invalid(period_id="is invalid")
        return period
    found = open_period(call.store, project_id)
    if found is None:
        raise bad_request(NO_PERIOD)
    return found


def open_period(store: Store, project_id: int) -> Document | None:
    """The project's newest open billing period."""
    sql = "select raw from records where kind = ? and project_id = ? and status = 'open' order by id desc limit 1"
    rows = store.rows(sql, (PERIOD, project_id))
    return json.loads(rows[0]["raw"]) if rows else None


def open_next(store: Store, commitment: Document, period: Document, given: Document) -> Document:
    """Lay out the commitment's next invoice with every line at nothing, as Procore does by itself."""
    before = store.newest_requisition(commitment["id"])
    project = store.find(PROJECT, commitment["project"]["id"])
    vendor = store.find(VENDOR, commitment["vendor"]["id"])
    user = store.find(USER, owner_id(store))
    assert project and vendor and user
    author = {key: user[key] for key in ("id", "name", "login")}
    billed = given.get("billing_date") or store.today()
    number, status = given.get("invoice_number") or "", given.get("status") or "draft"
    paper = Paper(store.new_id(), period, number, status, billed, author, store.instant())
    requisition = open_invoice(paper, project, commitment, vendor, before)
    requisition |= {key: value for key, value in given.items() if key in WRITABLE - {"items", "upload_ids"}}
    lines: list[Line] = []
    if before:
        earlier = store.find_requisition(before["previous_requisition_id"])
        lines = carry_items(requisition, before, read_lines(before, earlier), store.new_id)
    _add_lines(store, requisition, commitment, lines)
    fill(requisition, lines, earned(before))
    return requisition


def _add_lines(store: Store, requisition: Document, commitment: Document, lines: list[Line]) -> None:
    """Add what the schedule of values and the approved change orders hold beyond the invoice before."""
    known = {line_id(item) for item in requisition["items"]}
    approved = {p["id"] for p in commitment["change_order_packages"] if p["status"] == "approved"}
    by_unit = commitment["accounting_method"] == "unit"
    for sov_line in commitment["line_items"]:
        package = sov_line["_change_order_package_id"]
        if sov_line["id"] in known or (package and package not in approved):
            continue
        requisition["items"].append(item_of(sov_line, store.new_id(), commitment["_detailed"]))
        price = Decimal(sov_line["unit_cost"]) if by_unit and not package else None
        lines.append(Line(scheduled=Decimal(sov_line["amount"]), unit_price=price))
    shown = {package["id"] for package in requisition["item_packages"]}
    for position, package in enumerate(commitment["change_order_packages"], 1):
        if package["id"] in approved - shown:
            requisition["item_packages"].append(package_of(package, position))


def change(call: Call) -> Answer:
    requisition, given = _find_header(call), call.wrapped("requisition")
    _check_values(call, given, requisition)
    if set(given) <= FREE_WHEN_LOCKED:
        _write_fields(call.store, requisition, given)
        call.store.put_header(requisition)
        return _shown(call, requisition["id"])
    if requisition["origin_id"]:
        raise invalid(base=LOCKED)
    _check_latest(call.store, requisition)
    apply(call.store, _find(call), given)
    return _shown(call, requisition["id"])


def change_items(call: Call) -> Answer:
    requisition = _find(call, "requisition_id")
    given = call.body.get("requisition_items")
    if not isinstance(given, list) or not given:
        raise bad_request("param is missing or the value is empty or invalid: requisition_items")
    _check_values(call, {"items": given}, requisition)
    if requisition["origin_id"]:
        raise invalid(base=LOCKED)
    _check_latest(call.store, requisition)
    apply(call.store, requisition, {"items": given})
    return _shown(call, requisition["id"])


def delete(call: Call) -> Answer:
    requisition = _find_header(call)
    if requisition["origin_id"]:
        raise invalid(base=LOCKED)
    _check_latest(call.store, requisition)
    if not requisition["deletable"]:
        raise bad_request("The invoice cannot be deleted")
    call.store.write("delete from requisitions where id = ?", (requisition["id"],))
    return Answer(status=204)


def apply(store: Store, requisition: Document, given: Document) -> None:
    """Write fields and items into an invoice, recompute what follows from them, and stamp it."""
    _write_fields(store, requisition, given)
    if given.get("items"):
        _write_items(store, requisition, given["items"])
    store.put_requisition(requisition)


def _write_fields(store: Store, requisition: Document, given: Document) -> None:
    requisition |= {key: value for key, value in given.items() if key in WRITABLE - {"items", "upload_ids"}}
    requisition["erp_status"] = "synced" if requisition["origin_id"] else "not_synced"
    requisition["deletable"] = requisition["status"] == "draft" and not requisition["origin_id"]
    requisition["updated_at"] = store.instant()


def _check_latest(store: Store, requisition: Document) -> None:
    newest = store.newest_requisition(requisition["commitment_id"])
    if newest and newest["id"] != requisition["id"]:
        raise bad_request(ONLY_LATEST)


def _check_values(call: Call, given: Document, requisition: Document | None) -> None:
    own = requisition["id"] if requisition else 0
    if given.get("status") is not None and given["status"] not in STATUSES:
        raise invalid(status="is not included in the list")
    for name in ("origin_id", "origin_data", "invoice_number"):
        if given.get(name) is not None and not isinstance(given[name], str):
            raise invalid(**{name: "has incompatible type"})
    items = given.get("items") or []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise invalid(items="has incompatible type")
    for item in items:
        for name in MONEY:
            if name in item and not is_amount(item[name]):
                raise invalid(**{name: "has incompatible type"})
    if given.get("origin_id"):
        sql = "select 1 from requisitions where origin_id = ? and id <> ?"
        if call.store.rows(sql, (given["origin_id"], own)):
            raise invalid(origin_id="has already been taken")


def _write_items(store: Store, requisition: Document, changes: list[Document]) -> None:
    before = store.find_requisition(requisition["previous_requisition_id"])
    lines = read_lines(requisition, before)
    for change in changes:
        position = _position(requisition, change)
        item = requisition["items"][position]
        item |= {key: change[key] for key in ("status", "comment", "subcontractor_claimed_amount") if key in change}
        _write_figures(lines[position], change)
    fill(requisition, lines, earned(before), Decimal(str(_tax(requisition))))


def _tax(requisition: Document) -> str:
    return requisition["summary"].get("tax_applicable_to_this_payment") or "0.00"


def _position(requisition: Document, change: Document) -> int:
    for position, item in enumerate(requisition["items"]):
        if change.get("id") == item["id"] or ("id" not in change and change.get("line_item_id") == line_id(item)):
            return position
    raise invalid(items="contains an item that is not on this invoice")


def _write_figures(line: Line, change: Document) -> None:
    """Take the amounts over; retainage that is not given follows the rate that was in force."""
    work_rate = line.work_retained / line.work if line.work else USUAL_RATE
    stored_rate = line.stored_held / line.stored if line.stored else USUAL_RATE
    if "work_completed_this_period_quantity" in change and line.unit_price is not None:
        line.quantity = cents(Decimal(change["work_completed_this_period_quantity"]))
        line.work = cents(line.quantity * line.unit_price)
        line.work_retained = cents(line.work * work_rate)
    if "work_completed_this_period" in change:
        line.work = cents(Decimal(change["work_completed_this_period"]))
        line.work_retained = cents(line.work * work_rate)
        line.quantity = cents(line.work / line.unit_price) if line.unit_price else line.quantity
    if "materials_presently_stored" in change:
        line.stored = cents(Decimal(change["materials_presently_stored"]))
        line.new_materials = max(Decimal("0.00"), line.stored - line.stored_before + line.moved)
        line.stored_held = cents(line.stored * stored_rate)
    for name, attribute in (
        ("work_completed_retainage_retained_this_period", "work_retained"),
        ("work_completed_retainage_released_this_period", "work_released"),
        ("materials_stored_retainage_currently_retained", "stored_held"),
    ):
        if name in change:
            setattr(line, attribute, cents(Decimal(change[name])))


KINDS = {
    "contract_items": "contract_item",
    "contract_detail_items": "contract_detail_item",
    "change_order_items": CHANGE_ITEM,
}
