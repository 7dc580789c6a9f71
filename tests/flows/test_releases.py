"""Retention that an invoice gives back stays an item in Prefect until an approver says that it was released by hand."""

from decimal import Decimal
from typing import Any

import pytest
from desk import APPROVER, SENDER


@pytest.mark.sandbox(projects=1, invoices=4, no_troubles=True)
def test_a_release_by_hand_is_an_item_that_only_an_approver_closes(stage: Any):
    stage.accept_by_policy()
    invoice_id, given = give_back(stage)
    stage.play("nightly-sync")
    [item] = [run for run in stage.runs("Release Retention by Hand") if run.parameters["invoice"] == invoice_id]
    assert item.state.is_failed()
    assert f"${given:,}" in item.state.message
    assert (
        f"run confirm-release with company {item.parameters['company']} and invoice {invoice_id}" in item.state.message
    )
    which = {**item.parameters, "note": "released in batch 12"}

    dry = stage.play("confirm-release", **which, confirmed_by=APPROVER, dry_run=True)
    assert "is Release Retention by Hand and would be Exported" in dry.message
    refused = stage.play("confirm-release", **which, confirmed_by=SENDER)
    assert refused.name == "Finished with Failures"
    assert "Can Push to Accounting are missing" in refused.message
    assert stage.client.read_flow_run(item.id).state_id == item.state_id

    done = stage.run("confirm-release", **which, confirmed_by=APPROVER)

    assert done.state_name == "Confirmed", done.state.message
    closed = stage.client.read_flow_run(item.id)
    assert (closed.state_name, closed.state.is_completed()) == ("Exported", True)
    assert APPROVER in stage.report(item.id)


def give_back(stage: Any) -> tuple[int, Decimal]:
    """The project gives back half of the retainage of a line of the newest invoice; return that and how much."""
    newest = max(stage.sandbox.procore("requisitions"), key=lambda row: (row["number"], row["id"]))["id"]
    line = stage.sandbox.procore(f"requisitions/{newest}")["items"][0]
    held = Decimal(line["work_completed_retainage_from_previous_application"])
    half = (held / 2).quantize(Decimal("0.01"))
    name = "line_item_id" if line.get("line_item_id") else "id"
    change = {name: line[name], "work_completed_retainage_released_this_period": str(half)}
    stage.sandbox.procore(f"requisitions/{newest}/edit", {"items": [change]})
    return newest, half
