"""Insurance, licence and waivers of lien: asked for where the policy says so, and what is missing holds or warns."""

from typing import Any

import pytest
from desk import Desk

from tieout.intake import invoices, reference

SMALL = pytest.mark.sandbox(invoices=4, lines=2)
EXPIRED = {"insurance_documents": [{"id": 1, "name": "Certificate", "insurance_type": "Umbrella",
                                    "status": "expired", "expires_at": "2026-01-31"}]}  # fmt: skip


def reasons(desk: Desk, invoice_id: int) -> dict[str, tuple[str, str]]:
    return {each.rule: (each.severity, each.message) for each in desk.item(invoice_id).reasons}


def first(desk: Desk) -> dict[str, Any]:
    return desk.requisition(min(desk.requisitions()))


def stand(desk: Desk, invoice: dict[str, Any], **compliance: Any) -> None:
    """Somebody enters in Procore how the papers of the invoice's commitment stand."""
    desk.play("procore", f"commitments/{invoice['commitment_id']}", {"_compliance": compliance})


@SMALL
def test_nothing_is_asked_while_the_policy_allows_everything(desk: Desk):
    stand(desk, first(desk), insurance_status="not_compliant")
    desk.night()

    assert not [route for route in desk.requests("procore") if "compliance" in route or "waivers" in route]
    assert {item.state for item in desk.items()} == {"READY"}


@SMALL
def test_an_expired_policy_holds_the_invoice_until_procore_shows_a_new_one(desk: Desk):
    desk.set("policy", insurance="stop")
    invoice = first(desk)
    stand(desk, invoice, insurance_status="", **EXPIRED)
    desk.night()
    severity, message = reasons(desk, invoice["id"])["insurance"]
    others = {item.invoice_id for item in desk.items() if item.commitment_id != invoice["commitment_id"]}

    assert (desk.item(invoice["id"]).state, severity) == ("HELD", "hold")
    assert "Umbrella Certificate expired on 2026-01-31" in message
    assert {desk.states()[each] for each in others} == {"READY"}

    renewed = [{"id": 1, "status": "compliant", "expires_at": "2027-01-31"}]
    stand(desk, invoice, insurance_status="compliant", insurance_documents=renewed)
    desk.clock.advance(days=1)
    desk.night()

    assert desk.item(invoice["id"]).state == "READY"


@SMALL
def test_with_a_hold_on_its_payment_the_invoice_is_exported_and_says_so(desk: Desk):
    desk.set("policy", compliance_documents="pay_hold")
    invoice = first(desk)
    stand(desk, invoice, compliance_status="not_compliant")
    desk.export_everything()

    rows = desk.exported()
    ours = {item.invoice_id for item in desk.items() if item.commitment_id == invoice["commitment_id"]}
    status = {key: row["Status"].strip() for key, row in rows.items()}
    assert status == {key: "H" if key in ours else "O" for key in rows}
    severity, message = reasons(desk, invoice["id"])["compliance-documents"]
    assert severity == "warn"
    assert "not compliant" in message
    assert "exports it with its payment on hold" in message


@SMALL
def test_an_unsigned_waiver_of_this_invoice_or_the_one_before_is_told(desk: Desk):
    desk.set("policy", lien_waiver="warn")
    rows = sorted(desk.requisitions().values(), key=lambda row: (row["number"], row["id"]))
    later = desk.requisition(rows[-1]["id"])
    before = later["previous_requisition_id"]
    unsigned = [{"type": "unconditional_progress", "status": "awaiting_signature"}]
    desk.play("procore", f"requisitions/{before}/waivers", {"waivers": unsigned})
    desk.play("procore", f"requisitions/{later['id']}/waivers", {"waivers": []})
    desk.night()

    severity, message = reasons(desk, later["id"])["lien-waiver"]
    assert severity == "warn"
    assert "none was requested for this invoice" in message
    assert "unconditional progress one of the previous invoice waits for its signature" in message
    assert desk.item(later["id"]).state == "READY"


@SMALL
def test_what_cannot_be_read_counts_as_missing_is_told_and_concerns_one_commitment(desk: Desk):
    desk.set("policy", insurance="stop")
    invoice = first(desk)
    stand(desk, invoice, insurance_documents=7)
    projects = reference.list_projects(desk.ledger, desk.procore, desk.office)
    for project_id in projects:
        invoices.fetch_changed(desk.ledger, desk.procore, project_id, desk.office)
    reference.read_reference(desk.ledger, desk.erp, desk.office)
    [problem] = reference.read_books(desk.ledger, desk.procore, projects, desk.office)
    desk.judge()

    assert f"commitment {invoice['commitment_id']}: insurance_documents: must be a list" in problem.message
    assert "does not show" in reasons(desk, invoice["id"])["insurance"][1]
    concerned = {item.commitment_id for item in desk.items("HELD")}
    assert concerned == {invoice["commitment_id"]}


@SMALL
def test_where_an_erp_cannot_hold_a_payment_the_invoice_is_held_and_says_so(desk: Desk):
    desk.set("policy", compliance_documents="pay_hold")
    desk.erp.capabilities = desk.erp.capabilities.model_copy(update={"payment_hold": False})
    invoice = first(desk)
    stand(desk, invoice, compliance_status="not_compliant")
    desk.night()
    severity, message = reasons(desk, invoice["id"])["compliance-documents"]

    assert (desk.item(invoice["id"]).state, severity) == ("HELD", "hold")
    assert "Spectrum cannot hold its payment, so tieout holds the invoice itself" in message
