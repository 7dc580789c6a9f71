"""People send, take back and reject by the forms of deployments, and are told what was not done."""

from typing import Any

import pytest
from desk import APPROVER, SENDER

from benchmarks.post_office import a_post_office

pytestmark = pytest.mark.sandbox(projects=1, invoices=8, no_troubles=True)


def test_an_invoice_is_sent_by_its_number_taken_back_sent_again_and_rejected_after_it_failed(stage: Any):
    stage.set("policy", auto_send_statuses=[])
    stage.play("nightly-sync")
    [project, *_] = [each["id"] for each in stage.sandbox.procore("contractor")["projects"]]
    rows = stage.sandbox.procore("requisitions")
    first, draft, *_ = [row["id"] for row in sorted(rows, key=lambda row: row["id"])]
    stage.sandbox.procore(f"requisitions/{draft}/approve", {"status": "draft"})
    number, of_draft = (stage.sandbox.procore(f"requisitions/{each}")["invoice_number"] for each in (first, draft))

    end = stage.play("send-invoices", project=project, sent_by=SENDER, invoices=[number, str(draft), "X-404"])
    assert end.name == "Finished with Failures"
    assert f"{of_draft}: its status is draft; only Approved, Approved as Noted and Pending" in end.message.replace(
        str(draft), of_draft
    )
    assert "X-404: Procore shows no such invoice in this project" in end.message
    assert [item.invoice_id for item in stage.items("READY")] == [first]
    assert locked(stage, first)

    end = stage.play("retrieve-invoices", project=project, retrieved_by=SENDER, invoices=[number])
    assert (end.name, [item.invoice_id for item in stage.items("RETRIEVED")]) == ("Retrieved", [first])
    assert not locked(stage, first)

    assert stage.play("send-invoices", project=project, sent_by=SENDER, invoices=[number]).name == "Sent"
    [item] = stage.items("READY")
    stage.accept(item)
    stage.sandbox.spectrum("vendors", {"code": stage.vendor_of(item), "status": "N"})
    stage.play("sync-invoices")
    [shown] = stage.runs("Failed to Export")

    with a_post_office() as post_office:
        stage.set("mail", **post_office.settings)
        asked = {"project": project, "rejected_by": APPROVER, "invoices": [number]}
        blank = stage.play("reject-invoices", reason=" ", **asked)
        assert (blank.name, "a reason is needed" in blank.message) == ("Finished with Failures", True)
        end = stage.play("reject-invoices", reason="billed twice", **asked)
        [told] = post_office.taken
    assert (end.name, [each.invoice_id for each in stage.items("REJECTED")]) == ("Rejected", [first])
    assert "billed twice" in told.get_content()
    assert stage.client.read_flow_run(shown.id).state_name == "Rejected"
    assert f"mail to {told['To']}" in stage.report(shown.id)
    assert number not in {row["Invoice_Number"].strip() for row in stage.sandbox.spectrum("invoices")}


def locked(stage: Any, invoice_id: int) -> bool:
    return stage.sandbox.procore(f"requisitions/{invoice_id}")["origin_id"] is not None
