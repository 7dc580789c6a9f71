"""A night through the whole stack."""

from typing import Any


def test_a_night_brings_what_procore_approved_to_ready_to_export(stage: Any):
    run = stage.run("nightly-sync")

    assert run.state_name == "Completed", run.state.message
    assert stage.items("READY")
    held = {(item.company_id, item.invoice_id) for item in stage.items("HELD")}
    shown = {(each.parameters["company"], each.parameters["invoice"]) for each in stage.runs("Held")}
    assert held == shown
