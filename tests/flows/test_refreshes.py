"""What is changed in Procore is taken over, and what was not imported is asked for again, in the Prefect UI."""

from typing import Any

import pytest
from desk import APPROVER, SENDER

pytestmark = pytest.mark.sandbox(projects=1, invoices=6, no_troubles=True)


def test_a_change_of_what_the_erp_holds_is_refused_with_what_to_do(stage: Any):
    stage.accept_by_policy()
    stage.play("nightly-sync")
    item = stage.items("EXPORTED")[0]
    rename(stage, item, "CHANGED-1")
    run = stage.play("refresh-invoice", company=item.company_id, invoice=item.invoice_id)

    assert (run.name, run.is_failed()) == ("Finished with Failures", True)
    assert f"Have accounting delete document {item.document_id_erp} under Accounts Payable > Data Entry" in run.message
    assert stage.play("refresh-invoice", company=item.company_id, invoice=404).name == "Nothing to Refresh"


def test_reprocessing_names_each_refusal_and_exports_what_was_accepted(stage: Any):
    stage.set("policy", auto_send_statuses=[])
    stage.play("nightly-sync")
    assert stage.items() == []
    stage.set("policy", auto_send_statuses=["approved"])
    rows = [stage.sandbox.procore(f"requisitions/{each['id']}") for each in stage.sandbox.procore("requisitions")]
    first, second = sorted(rows, key=lambda row: row["id"])[:2]
    wanted = {"project": first["project_id"], "invoices": [first["invoice_number"], str(second["id"]), "X-404"]}

    run = stage.play("reprocess-invoices", **wanted, requested_by=SENDER)
    assert (run.name, "X-404: Procore shows no such invoice" in run.message) == ("Finished with Failures", True)
    assert stage.play("reprocess-invoices", **wanted, requested_by=SENDER).message.count("it is In Queue (READY)") == 2
    assert {item.invoice_id for item in stage.items("READY")} == {first["id"], second["id"]}

    refused = stage.play("reprocess-invoices", **wanted, requested_by=APPROVER)
    assert refused.name == "Finished with Failures"
    assert "Admin on the Commitments tool" in refused.message


def rename(stage: Any, item: Any, number: str) -> None:
    """A project manager gives the invoice another number."""
    stage.sandbox.procore(f"requisitions/{item.invoice_id}/edit", {"invoice_number": number})
