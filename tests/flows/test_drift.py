"""An invoice that was changed after its export is an item in Prefect until it is put back or let stand."""

from typing import Any

import pytest
from desk import APPROVER, SENDER


@pytest.mark.sandbox(projects=1, invoices=6, no_troubles=True)
def test_a_drifted_invoice_is_shown_looked_at_again_and_let_stand(stage: Any):
    stage.accept_by_policy()
    stage.play("nightly-sync")
    exported = stage.items("EXPORTED")[0]
    assert stage.runs() == []

    set_gross(stage, exported, "77.00")
    watched = stage.play("sync-payments", asked_by=APPROVER)
    [item] = stage.runs("Drifted")
    assert (watched.name, item.state.is_failed()) == ("Completed", True), watched.message
    assert "drifted now: 1" in watched.message
    assert (item.parameters["invoice"], "cause:drift" in item.tags) == (exported.invoice_id, True)
    assert "$77.00" in item.state.message
    assert "run acknowledge-drift with company" in item.state.message
    assert "## Drifted: changed-in-erp" in stage.report(item.id)

    set_gross(stage, exported, str(exported.gross))
    run = stage.retry(item.id)
    assert (run.id, run.state_name, run.state.is_completed()) == (item.id, "Exported", True), run.state.message

    set_gross(stage, exported, "77.00")
    stage.play("sync-payments", asked_by=APPROVER)
    assert [each.id for each in stage.runs("Drifted")] == [item.id]
    who = {"company": exported.company_id, "invoice": exported.invoice_id, "reason": "agreed with the vendor"}
    refused = stage.play("acknowledge-drift", **who, acknowledged_by=SENDER)
    assert (refused.name, refused.is_failed()) == ("Finished with Failures", True)
    assert "Can Push to Accounting are missing" in refused.message
    assert [each.id for each in stage.runs("Drifted")] == [item.id]

    done = stage.play("acknowledge-drift", **who, acknowledged_by=APPROVER)
    stage.play("sync-payments", asked_by=APPROVER)

    assert done.name == "Acknowledged", done.message
    assert stage.runs("Drifted") == []
    assert [each.id for each in stage.runs("Exported")] == [item.id]
    gross = {row["Invoice_Number"].strip(): row["Invoice_Amount"] for row in stage.sandbox.spectrum("invoices")}
    assert gross[exported.number] == "77.00"


def set_gross(stage: Any, item: Any, amount: str) -> None:
    """Accounting changes the amount at its own screen."""
    which = {"vendor_code": item.vendor_erp, "invoice_number": item.number_erp}
    stage.sandbox.spectrum("invoices/edit", {**which, "fields": {"Invoice_Amount": amount}})
