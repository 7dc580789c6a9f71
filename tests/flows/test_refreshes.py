"""What is changed in Procore is taken over, and what was not imported is asked for again, in the Prefect UI."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from desk import APPROVER, SENDER
from trytons import TrytonCompany, TrytonServer

from tieout.connectors.base import invoice_key

pytestmark = pytest.mark.sandbox(projects=1, invoices=6, no_troubles=True)


def test_a_change_of_what_the_erp_holds_is_refused_with_what_to_do(stage: Any):
    stage.accept_by_policy()
    stage.play("nightly-sync")
    item = stage.items("EXPORTED")[0]
    rename(stage, item, "CHANGED-1")
    run = stage.play("refresh-invoice", company=item.company_id, invoice=item.invoice_id)

    assert (run.name, run.is_failed()) == ("Finished with Failures", True)
    assert f"Have accounting delete document {item.document_id_erp} under Accounts Payable > Data Entry" in run.message


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


@pytest.fixture
def tryton(stage: Any, tryton_server: TrytonServer) -> Iterator[TrytonCompany]:
    """The contractor's books are in a real Tryton, which holds what the night exported."""
    with tryton_server.company(stage.sandbox.contractor.books) as company:
        stage.set("company", erp="tryton")
        stage.set("tryton", **company.settings)
        stage.accept_by_policy()
        assert stage.play("nightly-sync").name == "Completed"
        yield company


@pytest.mark.chaos
def test_a_change_reaches_the_draft_in_tryton_by_an_approvers_answer_though_trytons_is_lost(
    stage: Any, tryton: TrytonCompany
):
    item = newest_exported(stage)
    bill_more(stage, item)
    run = stage.run("refresh-invoice", company=item.company_id, invoice=item.invoice_id)
    shown = stage.form_description(run.id)
    tryton.fault("account.invoice.write", "reset_after")
    ended = stage.resume(run.id, decided_by=APPROVER, decision="apply")

    assert (run.state_name, ended.state_name) == ("Suspended", "Refreshed"), ended.state.message
    assert f"{item.gross:,}" in shown
    assert f"{item.gross + 100:,}" in shown
    assert in_tryton(tryton, item) == [("unposted", item.gross + 100)]


@pytest.mark.chaos
def test_a_draft_that_was_posted_while_the_form_was_open_stays_as_it_is(stage: Any, tryton: TrytonCompany):
    item = newest_exported(stage)
    bill_more(stage, item)
    run = stage.run("refresh-invoice", company=item.company_id, invoice=item.invoice_id)
    tryton.control("post", {"batch_code": item.batch_code})
    asked = stage.resume(run.id, decided_by=APPROVER, decision="apply")
    words = stage.form_description(run.id)
    left = stage.resume(run.id, decided_by=APPROVER, decision="leave")

    assert (asked.state_name, left.state_name) == ("Suspended", "Left"), left.state.message
    assert "Tryton no longer shows it unposted and as it was exported" in words
    assert in_tryton(tryton, item) == [("posted", item.gross)]


def newest_exported(stage: Any) -> Any:
    """Return the last invoice of a commitment: no later one moves with it."""
    return max(stage.items("EXPORTED"), key=lambda item: (item.sequence or 0, item.invoice_id))


def bill_more(stage: Any, item: Any) -> None:
    """A project manager raises the work of the first line by 100."""
    line = stage.sandbox.procore(f"requisitions/{item.invoice_id}")["items"][0]
    work = Decimal(line["work_completed_this_period"]) + 100
    name = "line_item_id" if line.get("line_item_id") else "id"
    change = {"items": [{name: line[name], "work_completed_this_period": str(work)}]}
    stage.sandbox.procore(f"requisitions/{item.invoice_id}/edit", change)


def in_tryton(tryton: TrytonCompany, item: Any) -> list[tuple[str, Decimal]]:
    key = invoice_key(item.company_id, item.invoice_id)
    ours = [row for row in tryton.look("invoices") if row["Remarks"] == key]
    return [(row["state"], Decimal(row["Invoice_Amount"])) for row in ours]


def rename(stage: Any, item: Any, number: str) -> None:
    """A project manager gives the invoice another number."""
    stage.sandbox.procore(f"requisitions/{item.invoice_id}/edit", {"invoice_number": number})
