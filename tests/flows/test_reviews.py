"""An accounting approver decides in the Prefect UI; here the form is submitted through the same endpoint."""

from typing import Any

import pytest
from desk import APPROVER

ALL = "all"
pytestmark = pytest.mark.sandbox(projects=1, invoices=8, no_troubles=True)


def test_one_is_rejected_with_a_reason_and_the_rest_is_exported(stage: Any):
    stage.play("nightly-sync")
    review = stage.waiting_review()
    ready = stage.items("READY")
    bad = ready[0]

    run = stage.resume(review.id, decided_by=APPROVER, accept=ALL, reject=f"{bad.number}: the lien waiver is missing")

    assert (run.state_name, run.id) == ("Decided", review.id), run.state.message
    assert [item.invoice_id for item in stage.items("REJECTED")] == [bad.invoice_id]
    in_erp = stage.sandbox.spectrum("invoices")
    exported = {item.number for item in stage.items("EXPORTED")}
    assert exported == {item.number for item in ready[1:]}
    assert exported <= {row["Invoice_Number"].strip() for row in in_erp}
    assert bad.number not in {row["Invoice_Number"].strip() for row in in_erp}
    assert stage.sandbox.procore("state")["with_origin_data"] == len(exported)


def test_an_answer_that_cannot_be_recorded_is_asked_again_with_the_problem_on_top(stage: Any):
    stage.play("nightly-sync")
    review = stage.waiting_review()
    number = stage.items("READY")[0].number

    asked = stage.resume(review.id, decided_by=APPROVER, reject=f"{number}:\nX-404: wrong")

    assert asked.state_name == "Suspended"
    words = stage.form_description(review.id)
    assert f"a reason is needed for rejecting {number}" in words
    assert "X-404" in words
    assert stage.items("REJECTED") == []

    run = stage.resume(review.id, decided_by=APPROVER, reject=f"{number}: wrong period")

    assert run.state_name == "Decided"
    assert [item.number for item in stage.items("REJECTED")] == [number]
    # What was neither accepted nor rejected is offered again.
    assert stage.waiting_review().id != review.id


def test_a_review_with_the_present_list_is_left_and_one_with_an_old_list_is_superseded(stage: Any):
    stage.play("nightly-sync")
    first = stage.waiting_review()
    stage.play("nightly-sync")

    assert [run.id for run in stage.runs("Suspended", flow="review-invoices")] == [first.id]

    changed = stage.items("READY")[0]
    stage.sandbox.procore(f"requisitions/{changed.invoice_id}/edit", {"invoice_number": f"{changed.number}-B"})
    stage.play("nightly-sync")

    assert stage.waiting_review().id != first.id
    assert [run.id for run in stage.runs("Superseded", flow="review-invoices")] == [first.id]


def test_a_review_that_is_retried_after_its_decision_changes_nothing(stage: Any):
    stage.play("nightly-sync")
    review = stage.waiting_review()
    stage.resume(review.id, decided_by=APPROVER, accept=ALL)
    before = stage.sandbox.spectrum("state")

    run = stage.retry(review.id)

    assert run.state_name == "Decided"
    assert stage.sandbox.spectrum("state") == before
