"""What tests and the demo may do behind Procore's back: look into its state and play the project's people."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from typing import Any

from tieout.sandbox.contractor.applications import gross
from tieout.sandbox.contractor.documents import CHANGE_ITEM, Document, line_id
from tieout.sandbox.contractor.g703 import ZERO, cents
from tieout.sandbox.procore import oauth
from tieout.sandbox.procore.requisitions import HIDING_PLACES, STATUSES, apply, open_next, open_period
from tieout.sandbox.procore.store import (
    COMMITMENT,
    COST_CODE,
    PAYMENT,
    PERIOD,
    PROJECT,
    VENDOR,
    Store,
    as_document,
    as_text,
    dumps,
)
from tieout.sandbox.procore.wire import Answer, Call, Refusal, not_found

RECORDS = {"commitments": COMMITMENT, "vendors": VENDOR, "projects": PROJECT, "cost_codes": COST_CODE,
           "billing_periods": PERIOD}  # fmt: skip
OWN_WORDS = {"payments_issued": "_payments_issued", "commitments_tool": "_commitments_tool"}


def contractor(call: Call) -> Answer:
    projects = [{"id": p["id"], "name": p["name"]} for p in call.store.all(PROJECT)]
    forbidden = call.store.get("forbidden", [])
    shown = [project for project in projects if project["id"] not in forbidden]
    return Answer(call.store.get("contractor") | {"projects": shown, "forbidden_projects": forbidden})


def state(call: Call) -> Answer:
    """Count what there is."""
    rows = call.store.rows("select header from requisitions")
    headers = [json.loads(row["header"]) for row in rows]
    payments = call.store.all(PAYMENT)
    return Answer(
        {
            "projects": len(call.store.all(PROJECT)),
            "vendors": len(call.store.all(VENDOR)),
            "commitments": len(call.store.all(COMMITMENT)),
            "requisitions": len(headers),
            "requisitions_by_status": dict(Counter(header["status"] for header in headers)),
            "locked": sum(1 for header in headers if header["origin_id"]),
            "with_origin_data": sum(1 for header in headers if header["origin_data"]),
            "contract_payments": len(payments),
            "contract_payments_sum": str(sum((Decimal(payment["amount"]) for payment in payments), ZERO)),
            "troubles": len(call.store.get("troubles")),
            "last_instant": call.store.get("last_instant"),
        }
    )


def troubles(call: Call) -> Answer:
    return Answer({"troubles": call.store.get("troubles"), "repairable": sorted(call.store.get("repairs"))})


def payments(call: Call) -> Answer:
    return Answer(call.store.all(PAYMENT))


def requisition(call: Call) -> Answer:
    row = call.store.rows("select * from requisitions where id = ?", (call.path_id(),))
    if not row:
        raise not_found("Requisition")
    return Answer(text=as_text(row[0], "extended"))


def requisitions(call: Call) -> Answer:
    """A short list of all invoices, oldest first, for tests that need to pick one."""
    names = ("id", "project_id", "commitment_id", "commitment_type", "vendor_id", "vendor_name", "number",
             "invoice_number", "invoice_type", "status", "origin_id", "origin_data")  # fmt: skip
    known = call.store.get("troubles")
    shown = []
    for row in call.store.rows("select * from requisitions order by id"):
        document = as_document(row)
        trouble = known.get(str(document["id"]))
        money = {
            "gross": str(gross(document)),
            "current_payment_due": str(document["summary"]["current_payment_due"]),
        }
        shown.append({name: document[name] for name in names} | money | {"trouble": trouble})
    return Answer(shown)


def _find(call: Call) -> Document:
    found = call.store.find_requisition(call.path_id())
    if found is None:
        raise not_found("Requisition")
    return found


def approve(call: Call) -> Answer:
    """A project manager sets the status; `approved` unless another is given."""
    found, status = _find(call), call.body.get("status", "approved")
    if status not in STATUSES:
        raise Refusal(400, {"error": f"unknown status {status}"})
    apply(call.store, found, {"status": status})
    return requisition(call)


def edit(call: Call) -> Answer:
    """A project manager changes an invoice, whatever its lock says, or repairs a labelled trouble."""
    given = dict(call.body)
    if given.pop("repair", False):
        _repair(call)
    if given:
        found = _find(call)
        extra = {key: value for key, value in given.items() if key in found and key != "items"}
        apply(call.store, found | extra, given)
    return requisition(call)


def _repair(call: Call) -> None:
    key, store = str(call.path_id()), call.store
    known = store.get("repairs")
    repairs = known.get(key)
    if not repairs:
        raise Refusal(409, {"error": f"requisition {key} has no trouble that Procore could repair"})
    for repair in repairs:
        if repair["kind"] != "requisitions":
            change_record(store, RECORDS[repair["kind"]], repair["id"], repair["fields"])
            continue
        now = store.find_requisition(repair["id"])
        assert now
        kept = {name: now[name] for name in ("origin_id", "origin_data", "status", "payment_summary")}
        apply(store, repair["fields"] | kept, {})
    left = {number: label for number, label in store.get("troubles").items() if known.get(number) != repairs}
    store.set("troubles", left)


def replace_body(call: Call) -> Answer:
    """Answer this text for the invoice from now on, sound JSON or not; an empty text takes it back."""
    _find(call)
    text = call.body.get("_text") or None
    sql = "update requisitions set verbatim = ?, updated_at = ? where id = ?"
    call.store.write(sql, (text, call.store.instant(), call.path_id()))
    return Answer({"id": call.path_id(), "verbatim": text is not None})


def hide(call: Call) -> Answer:
    """Leave the invoice out of lists, in silence: of what changed, of all but those by status, or of none again."""
    scopes, scope = call.store.get("hidden", {}), call.body.get("from")
    if scope not in (None, *HIDING_PLACES):
        raise Refusal(400, {"error": f"hide from one of: {', '.join(HIDING_PLACES)}"})
    _find(call)
    kept = {key: value for key, value in scopes.items() if key != str(call.path_id())}
    call.store.set("hidden", kept | ({str(call.path_id()): scope} if scope else {}))
    return Answer({"id": call.path_id(), "from": scope})


def remove(call: Call) -> Answer:
    _find(call)
    call.store.write("delete from requisitions where id = ?", (call.path_id(),))
    return Answer(status=204)


def open_requisition(call: Call) -> Answer:
    """Bill the next month on a commitment: a share of every line, as far as the contract goes."""
    store = call.store
    commitment = store.find(COMMITMENT, int(call.body["commitment_id"]))
    if commitment is None:
        raise not_found("Commitment")
    before = store.newest_requisition(commitment["id"])
    period = open_period(store, commitment["project"]["id"])
    if period is None:
        raise Refusal(409, {"error": "the project has no open billing period"})
    status = call.body.get("status", "approved")
    given = {"status": status, "invoice_number": call.body.get("invoice_number") or _next_number(before)}
    opened = open_next(store, commitment, period, given)
    share = Decimal(str(call.body.get("share", "0.1")))
    apply(store, opened, {"items": _billed(opened, share)})
    return Answer(opened, status=201)


def _next_number(before: Document | None) -> str:
    return f"{before['invoice_number'][:15]}-N{before['number'] + 1}" if before else "1"


def _billed(opened: Document, share: Decimal) -> list[Document]:
    """Bill the share of every line, or what is left of it; nothing on deductions, nor any retainage on nothing."""
    changes: list[Document] = []
    for item in opened["items"]:
        scheduled, done = (Decimal(item[name]) for name in ("scheduled_value", "total_completed_and_stored_to_date"))
        amount = max(ZERO, min(cents(scheduled * share), scheduled - done))
        name = "id" if item["item_type"] == CHANGE_ITEM else "line_item_id"
        who = {name: item["id"] if name == "id" else line_id(item)}
        changes.append(who | {"work_completed_this_period": str(amount)})
    return changes


def set_record(call: Call) -> Answer:
    """Set fields of a project, vendor, commitment, cost code or billing period."""
    kind = RECORDS[call.path["records"]]
    changed = change_record(call.store, kind, call.path_id(), call.body)
    if kind == PROJECT and "access" in call.body:
        others = [one for one in call.store.get("forbidden") if one != call.path_id()]
        call.store.set("forbidden", others if call.body["access"] else [*others, call.path_id()])
    return Answer(changed)


def change_record(store: Store, kind: str, record_id: int, fields: Document) -> Document:
    """Set fields of a record, and of what repeats them elsewhere; lists are matched by id."""
    record = store.find(kind, record_id)
    if record is None:
        raise not_found(kind)
    for name, value in fields.items():
        stored = OWN_WORDS.get(name, name) if kind == PROJECT else name
        record[stored] = _merged(record.get(stored), value)
    record["updated_at"] = store.instant()
    store.put(kind, record)
    if kind in (VENDOR, COST_CODE):
        _repeat(store, kind, record)
    if kind == COMMITMENT:
        _show_packages(store, record)
    return record


def _merged(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        return old | {key: _merged(old.get(key), value) for key, value in new.items()}
    if isinstance(old, list) and isinstance(new, list) and all(isinstance(one, dict) and "id" in one for one in new):
        changes = {one["id"]: one for one in new}
        return [_merged(one, changes.get(one["id"], {})) for one in old]
    return new


def _repeat(store: Store, kind: str, record: Document) -> None:
    """Commitments carry a copy of their vendor's and cost codes' ERP codes."""
    for commitment in store.all(COMMITMENT):
        touched = False
        if kind == VENDOR and commitment["vendor"]["id"] == record["id"]:
            commitment["vendor"] |= {"company": record["name"], "origin_id": record["origin_id"]}
            touched = True
        for line in commitment["line_items"] if kind == COST_CODE else []:
            if line["cost_code"]["id"] == record["id"]:
                line["cost_code"] |= {name: record[name] for name in ("origin_id", "origin_code", "name")}
                touched = True
        if touched:
            store.put(COMMITMENT, commitment)


def _show_packages(store: Store, commitment: Document) -> None:
    """Invoices show how far their change orders are; that does not count as a change of the invoice."""
    status = {package["id"]: package["status"] for package in commitment["change_order_packages"]}
    for row in store.rows("select id, packages from requisitions where commitment_id = ?", (commitment["id"],)):
        shown = json.loads(row["packages"])
        for package in shown:
            package["status"] = status.get(package["id"], package["status"])
        text = dumps(shown)
        store.write("update requisitions set packages = ? where id = ?", (text, row["id"]))


def set_quirks(call: Call) -> Answer:
    """Switch the quirks that are named; the others stay as they are."""
    unknown = set(call.body) - set(vars(call.quirks))
    if unknown:
        raise Refusal(400, {"error": f"no such quirk: {', '.join(sorted(unknown))}"})
    for name, value in call.body.items():
        setattr(call.quirks, name, bool(value))
    return Answer(vars(call.quirks))


def expire_tokens(call: Call) -> Answer:
    return Answer({"expired": oauth.expire_all(call.store)})
