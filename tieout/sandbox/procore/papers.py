"""The papers of a commitment and the waivers of lien of an invoice, as Procore shows them.

Everybody is in order unless a test or the demo says otherwise: `_compliance` of a commitment, `waivers` of an invoice.
The words of a document's `type` and `status` are modelled: the published schema names the fields only.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tieout.sandbox.contractor.documents import Document
from tieout.sandbox.procore.directory import TYPES, commitments_project
from tieout.sandbox.procore.store import COMMITMENT, Store, dumps
from tieout.sandbox.procore.wire import Answer, Call, Refusal, listing, malformed, not_found, page_of, window

_DEFAULT_SIZE, _LARGEST = 100, 2000


def compliance_of(kind: str) -> Any:
    """Answer for commitments of one kind, by its name in the path."""

    def compliance(call: Call) -> Answer:
        project_id = commitments_project(call)
        raw = call.store.find(COMMITMENT, call.path_id())
        if raw is None or raw["project"]["id"] != project_id or raw["_type"] != TYPES[kind]:
            raise not_found("Contract")
        return Answer(_in_order(call.store, raw) | raw.get("_compliance", {}))

    return compliance


def waivers(call: Call) -> Answer:
    """List the waivers of one invoice."""
    project_id, given = call.project_id(), call.value("invoice_id")
    if given is None or not given.isdigit():
        raise malformed("invoice_id is required", "invoice_id")
    requisition = call.store.find_requisition(int(given))
    if requisition is None or requisition["project_id"] != project_id:
        raise not_found("Invoice")
    kept = call.store.get("waivers", {}).get(given, [{"type": "conditional_progress", "status": "completed"}])
    company_id = call.store.get("contractor")["company_id"]
    common = {"company_id": company_id, "project_id": project_id, "invoice_id": int(given), "locked": False}
    rows = [{"id": int(given) * 10 + number, **common, **each} for number, each in enumerate(kept)]
    page = page_of(call, _DEFAULT_SIZE, _LARGEST)
    offset, size = window(call, page)
    return listing(call, [dumps(row) for row in rows[offset : offset + size]], page, len(rows))


def set_waivers(call: Call) -> Answer:
    """Let an invoice have these waivers, each a type and a status."""
    if call.store.find_requisition(call.path_id()) is None:
        raise not_found("Requisition")
    rows = call.body.get("waivers")
    if not isinstance(rows, list):
        raise Refusal(400, {"error": "waivers must be a list"})
    call.store.set("waivers", call.store.get("waivers", {}) | {str(call.path_id()): rows})
    return Answer({"id": call.path_id(), "waivers": rows})


def _in_order(store: Store, commitment: Document) -> Document:
    now = datetime.fromtimestamp(store.seconds(), UTC)
    until = (now + timedelta(days=200)).strftime("%Y-%m-%dT%H:%M:%SZ")
    since = (now - timedelta(days=165)).strftime("%Y-%m-%dT%H:%M:%SZ")
    common = {"status": "compliant", "effective_at": since, "expires_at": until, "attachments": []}
    policy = {"id": commitment["id"] + 1, "name": "Certificate", "insurance_type": "General Liability"}
    licence = {"id": commitment["id"] + 2, "name": "Contractor license", "type": "License", "notes": ""}
    return {
        "updated_at": commitment["updated_at"],
        "updated_by_id": None,
        "compliance_status": "compliant",
        "compliance_notes": "",
        "insurance_status": "compliant",
        "insurance_notes": "",
        "derived_insurance_status": "compliant",
        "insurance_documents": [{**policy, "level": "company", **common}],
        "derived_compliance_status": "compliant",
        "compliance_documents": [{**licence, **common}],
        "insurance_requirements_not_created": [],
        "compliance_requirements_not_created": [],
    }
