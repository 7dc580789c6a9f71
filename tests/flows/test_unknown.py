"""A form with an id that nobody knows ends red, in words that say which id and where the right one is found."""

import inspect
from importlib import import_module
from typing import Any

import pytest
from desk import APPROVER, SENDER

from tasks.watch import deployments

IDS = {"invoice", "project", "projects", "invoices"}
UNKNOWN = 404404
GIVEN = {
    "invoice": UNKNOWN,
    "project": UNKNOWN,
    "projects": [UNKNOWN],
    "reason": "twice",
    "note": "released",
    **dict.fromkeys(("sent_by", "retrieved_by", "requested_by"), SENDER),
    **dict.fromkeys(("rejected_by", "unlinked_by", "acknowledged_by", "confirmed_by"), APPROVER),
}
NOT_ON_PAPER = "take Procore's id from the invoice's address there or from show-invoices, not the number on the paper"
pytestmark = pytest.mark.sandbox(projects=1, invoices=4, no_troubles=True)


@pytest.mark.parametrize("is_dry", [False, True])
def test_an_id_that_nobody_knows_ends_every_form_red(stage: Any, is_dry: bool):
    stage.play("nightly-sync")
    asking = [flow for flow in deployments() if IDS & fields(flow)]

    ends = {flow: stage.play(flow, **filled_in(stage, flow, is_dry)) for flow in asking}

    assert {flow: end.message for flow, end in ends.items() if not end.is_failed()} == {}
    assert {flow: end.name for flow, end in ends.items() if end.name != "Finished with Failures"} == {}
    assert {flow: end.message for flow, end in ends.items() if str(UNKNOWN) not in end.message} == {}
    by_invoice = {flow: end.message for flow, end in ends.items() if "invoice" in fields(flow)}
    assert {flow: words for flow, words in by_invoice.items() if NOT_ON_PAPER not in words} == {}


def test_to_retry_an_invoice_that_nobody_knows_tries_none(stage: Any):
    stage.play("nightly-sync")

    for is_dry in (True, False):
        end = stage.play("retry-exports", invoices=[stage.items()[0].invoice_id, UNKNOWN], dry_run=is_dry)
        assert (end.name, end.is_failed()) == ("Finished with Failures", True)
        assert f"invoice {UNKNOWN}: tieout never read it from Procore; {NOT_ON_PAPER}" in end.message


def test_an_invoice_that_was_never_sent_and_one_of_another_company_are_named_so(stage: Any):
    stage.set("policy", auto_send_statuses=[])
    stage.play("nightly-sync")
    company, invoice = stage.sandbox.facts["procore"]["company_id"], stage.sandbox.procore("requisitions")[0]["id"]
    never_sent = stage.play("export-invoice", company=company, invoice=invoice)
    elsewhere = stage.play("refresh-invoice", company=company + 1, invoice=invoice)

    assert (never_sent.is_failed(), elsewhere.is_failed()) == (True, True)
    assert "it was never sent to accounting; use send-invoices" in never_sent.message
    assert f"it belongs to company {company}, not to company {company + 1}" in elsewhere.message


def test_a_run_in_which_a_step_did_not_finish_is_red_though_its_invoice_is_in_the_erp(stage: Any):
    stage.accept_by_policy()
    stage.play("nightly-sync")
    item = stage.items("EXPORTED")[0]
    stage.sandbox.fail("procore", route="GET .*/requisitions.*", kind="5xx_before", times=99)

    end = stage.play("export-invoice", company=item.company_id, invoice=item.invoice_id)

    assert (end.name, end.is_failed()) == ("Finished with Failures", True)
    assert "fetch invoice: [Procore Error]" in end.message
    assert "It is Exported" in end.message


def fields(flow: str) -> set[str]:
    """Return the fields of a flow's form."""
    name = flow.replace("-", "_")
    return set(inspect.signature(getattr(import_module(f"flows.{name}"), name).fn).parameters)


def filled_in(stage: Any, flow: str, is_dry: bool) -> dict[str, Any]:
    """Fill in a flow's form with ids that nobody knows."""
    given = {**GIVEN, "company": stage.items()[0].company_id, "dry_run": is_dry}
    given |= {"invoices": ["X-1"]} if flow == "reprocess-invoices" else {}
    return {name: value for name, value in given.items() if name in fields(flow)}
