"""What failed is an item in Prefect: it says why, it can be retried, and it shows what the ledger holds.

One whose cause is mended is tried again in `test_browser.py`.
"""

import json
from typing import Any

import pytest
from desk import APPROVER

pytestmark = pytest.mark.sandbox(projects=1, invoices=8, no_troubles=True)


def test_a_retry_with_the_cause_still_there_tells_the_reason_of_now(stage: Any):
    make_one_fail(stage)
    [item] = stage.runs("Failed to Export")

    run = stage.retry(item.id)

    assert (run.state_name, run.state.is_failed()) == ("Failed to Export", True)
    assert run.state.message == item.state.message


def test_an_item_that_someone_deleted_or_cancelled_is_put_right_by_the_next_pass(stage: Any):
    make_one_fail(stage)
    [item] = stage.runs("Failed to Export")
    stage.client.delete_flow_run(item.id)
    stage.play("sync-payments", asked_by=APPROVER)
    [again] = stage.runs("Failed to Export")
    assert (again.name, again.id == item.id) == (item.name, False)

    stage.put_state(again.id, "CANCELLED", "Cancelled")
    stage.play("sync-payments", asked_by=APPROVER)

    assert [each.id for each in stage.runs("Failed to Export")] == [again.id]


def test_an_item_whose_cause_clears_by_itself_is_moved_by_the_night(stage: Any):
    vendor = make_one_fail(stage)
    [item] = stage.runs("Failed to Export")
    set_vendor(stage, vendor, "A")

    stage.play("nightly-sync")

    assert stage.client.read_flow_run(item.id).state_name == "Exported"
    assert stage.runs("Failed to Export") == []


def test_many_are_retried_at_once_by_cause_after_a_preview(stage: Any):
    vendor = make_one_fail(stage)
    [failed] = stage.items("FAILED")
    set_vendor(stage, vendor, "A")

    preview = stage.play("retry-exports", cause=failed.cause)
    assert preview.name == "Previewed"
    told = [item for item in stage.items("FAILED", "HELD") if item.cause == failed.cause]
    assert f"{len(told)} invoice" in preview.message
    assert f"${sum(item.gross for item in told):,.2f}" in preview.message
    rows = {(row["cause"], row["invoice"], row["gross"]) for row in tables(stage, "retry-exports-preview")}
    assert rows == {(item.cause, item.number, f"${item.gross:,.2f}") for item in told}
    assert failed in stage.items("FAILED")

    state = stage.play("retry-exports", cause=failed.cause, dry_run=False)

    assert state.name == "Completed", state.message
    assert (stage.items("FAILED", "HELD"), stage.runs("Failed to Export", "Held")) == ([], [])
    assert [each.invoice_id for each in stage.items("EXPORTED")] == [failed.invoice_id]


def tables(stage: Any, key: str) -> list[dict[str, str]]:
    """Return the rows of the newest table of this key."""
    return list(
        json.loads(stage.client.request("GET", "/artifacts/{key}/latest", path_params={"key": key}).json()["data"])
    )


def make_one_fail(stage: Any) -> str:
    """Have one invoice accepted whose vendor accounting makes inactive in the ERP; return the vendor's code."""
    stage.play("nightly-sync")
    chosen = stage.items("READY")[0]
    vendor = stage.vendor_of(chosen)
    stage.accept(chosen)
    set_vendor(stage, vendor, "N")
    state = stage.play("sync-invoices")
    assert state.name == "Finished with Failures", state.message
    assert [item.number for item in stage.items("FAILED")] == [chosen.number]
    return str(vendor)


def set_vendor(stage: Any, code: str, status: str) -> None:
    stage.sandbox.spectrum("vendors", {"code": code, "status": status})
