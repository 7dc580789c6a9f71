"""An accountant's two repairs in the Prefect UI; here the form is submitted through the same endpoint."""

from typing import Any

import pytest
from desk import APPROVER, SENDER

from tieout.ledger.items import Item

pytestmark = pytest.mark.sandbox(projects=1, invoices=8, no_troubles=True)


def test_an_approver_who_sees_both_sides_says_what_the_erp_shows_otherwise(stage: Any):
    item = uncertain(stage)
    [shown] = stage.runs("Uncertain")
    assert f"Run settle-uncertain with company {item.company_id} and invoice {item.invoice_id}" in shown.state.message

    asked = stage.run("settle-uncertain", company=item.company_id, invoice=item.invoice_id)
    assert (asked.state_name, asked.name.startswith(f"Settle · {item.number} · ")) == ("Suspended", True)
    assert "| retention |" in stage.form_description(asked.id)
    assert "**≠** $0.00" in stage.form_description(asked.id)

    again = stage.resume(asked.id, decided_by=SENDER, decision="adopt", reason="as on paper")
    assert again.state_name == "Suspended"
    assert "Can Push to Accounting are missing" in stage.form_description(asked.id)

    stage.let_act(
        SENDER, erp_integrations="admin", can_push_to_accounting=True
    )  # what was refused is not taken up by itself
    run = stage.resume(asked.id, decided_by=APPROVER, decision="disown", reason="typed by a clerk")
    assert (run.id, run.state_name) == (asked.id, "Disowned"), run.state.message
    assert run.state.message.startswith(f"By {APPROVER}: typed by a clerk.")
    assert [(each.invoice_id, each.cause) for each in stage.items("FAILED")] == [(item.invoice_id, "disowned")]
    assert stage.client.read_flow_run(shown.id).state_name == "Failed to Export"

    assert stage.retry(asked.id).state_name == "Disowned"  # nobody is asked twice


def test_an_ap_invoice_that_is_deleted_in_the_erp_is_unlinked_after_a_second_look(stage: Any):
    stage.set("spectrum", **stage.tables["spectrum"], settles_seconds=0)
    stage.play("nightly-sync")
    chosen = stage.items("READY")[0]
    stage.accept(chosen)
    stage.play("sync-invoices")
    [item] = stage.items("EXPORTED")
    stage.sandbox.spectrum("invoices/delete", {"vendor_code": item.vendor_erp, "invoice_number": item.number_erp})

    parameters = {"company": item.company_id, "invoice": item.invoice_id}
    run = stage.run("unlink-invoice", **parameters, unlinked_by=APPROVER, reason="billed twice")
    assert run.state_name == "Finished with Failures"
    assert "only what is GONE from the ERP is unlinked" in run.state.message
    assert "a second look after" in run.state.message

    run = stage.retry(run.id)

    assert (run.state_name, run.state.message) == ("Unlinked", f"By {APPROVER}: billed twice. It is UNLINKED.")
    assert stage.sandbox.procore(f"requisitions/{item.invoice_id}")["origin_id"] is None


def uncertain(stage: Any) -> Item:
    """Have something else than what will be sent turn up in the ERP under our key; return the invoice."""
    stage.play("nightly-sync")
    chosen = stage.items("READY")[0]
    stage.accept(chosen)
    stage.turn_up(chosen, Retention_Amount="0.00")
    stage.play("sync-invoices")
    stage.set("export", lease_seconds=0.1)  # an outcome that is unknown for three leases is shown
    stage.play("sync-payments", asked_by=APPROVER)
    [item] = stage.items("UNCERTAIN")
    return item
