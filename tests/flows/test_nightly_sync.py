"""A night through the whole stack, and nights on which something outside is broken."""

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from desk import APPROVER

from benchmarks.post_office import a_post_office
from tasks import _progress


@pytest.mark.sandbox(projects=2, invoices=40)
def test_a_night_offers_what_is_sound_and_shows_what_is_not_by_the_worker(stage: Any):
    run = stage.run("nightly-sync")

    assert run.state_name == "Completed", run.state.message
    projects = {item.project_id for item in stage.items("READY")}
    reviews = [review for review in stage.settled("review-invoices") if review.state_name == "Suspended"]
    assert {review.parameters["project"] for review in reviews} == projects
    held = {(item.company_id, item.invoice_id) for item in stage.items("HELD")}
    shown = [(each.parameters["company"], each.parameters["invoice"]) for each in stage.runs("Held")]
    assert held
    assert Counter(shown) == Counter(held)
    assert stage.items("NOT_EXPORTABLE")
    assert "Not exportable" in stage.report(run.id)


@pytest.mark.sandbox(projects=2, invoices=16, no_troubles=True)
def test_accepted_invoices_are_exported_paid_and_the_payments_brought_back_once(
    stage: Any, monkeypatch: pytest.MonkeyPatch
):
    stage.accept_by_policy()
    with monkeypatch.context() as patched:
        patched.setattr(_progress, "_QUIET_SECONDS", 0.0)  # every step counts as a slow one
        first = stage.play("nightly-sync")
    assert first.name == "Completed", first.message
    stage.await_bars(first, "fetch changed invoices: 3 of 3 projects", "export chunk: 16 of 16 invoices")
    exported = stage.items("EXPORTED")
    assert stage.items() == exported
    assert {row["Invoice_Number"].strip() for row in stage.sandbox.spectrum("invoices")} >= {i.number for i in exported}
    paid = exported[0]
    check = stage.sandbox.post_and_pay(paid, "100.00")

    second = stage.play("sync-payments", asked_by=APPROVER)
    third = stage.play("sync-payments", asked_by=APPROVER)

    assert (second.name, third.name) == ("Completed", "Completed"), second.message
    rows = stage.sandbox.procore("payments")
    assert [(row["check_number"], Decimal(row["amount"])) for row in rows] == [(check, Decimal("100.00"))]
    assert "payments written to Procore: 1" in second.message
    assert "payments written" not in third.message
    assert [item.invoice_id for item in stage.items("PART_PAID")] == [paid.invoice_id]


@pytest.mark.sandbox(projects=2, invoices=12, no_troubles=True)
def test_a_project_that_procore_refuses_stops_no_other(stage: Any):
    first, second = (each["id"] for each in stage.sandbox.procore("contractor")["projects"])
    stage.play("nightly-sync", projects=[second])  # both projects are known from here on
    stage.sandbox.procore(f"projects/{first}", {"access": False})

    state = stage.play("nightly-sync")

    assert {item.project_id for item in stage.items()} == {second}
    assert state.name == "Completed", state.message


@pytest.mark.sandbox(projects=1, invoices=6, no_troubles=True)
def test_a_dry_run_writes_nothing_anywhere(stage: Any):
    state = stage.play("nightly-sync", dry_run=True)

    assert state.name == "Previewed"
    assert stage.items() == []
    assert stage.sandbox.procore("state")["locked"] == 0


@pytest.mark.sandbox(projects=1, invoices=6, no_troubles=True)
def test_an_erp_that_is_down_makes_the_night_red_in_plain_words_and_the_next_night_catches_up(stage: Any):
    stage.accept_by_policy()
    stage.sandbox.fail("spectrum", route="POST /vendor/invoice", kind="429", times=30, retry_after=3600)

    with a_post_office() as post_office:
        stage.set("mail", **post_office.settings, operators=["ops@contractor.example"])
        red = stage.play("nightly-sync")

        assert (red.name, red.is_failed()) == ("Finished with Failures", True)
        assert "Traceback" not in red.message
        assert {item.cause for item in stage.items("FAILED")} == {"transient"}
        assert len(stage.runs("Failed to Export")) == len(stage.items("FAILED")) > 0

        stage.sandbox.fail("spectrum")
        green = stage.play("nightly-sync")

    assert green.name == "Completed", green.message
    [told] = post_office.taken  # one mail for a night that had failures, however many
    assert told["Subject"].endswith(f": {len(stage.items())} failed")
    assert f"- transient: {len(stage.items())}\n{stage.ui_url}/runs" in told.get_content().replace("\r\n", "\n")
    assert (stage.items("FAILED"), stage.runs("Failed to Export")) == ([], [])
