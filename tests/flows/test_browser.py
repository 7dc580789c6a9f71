"""The stories of an operator and an approver in a real browser, on the Prefect UI as it is shipped."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from browser import CHROMIUM, Screen, browsing
from builders import an_office
from desk import APPROVER, SENDER
from phones import enrol

from tieout.decisions.review import decide
from tieout.decisions.review import offer as offer_review
from tieout.ledger.items import Item
from tieout.opening import open_ledger
from tieout.people.rights import Signature

SOUND = pytest.mark.sandbox(projects=1, invoices=8, no_troubles=True)
Open = Callable[[], Screen]


@pytest.fixture
def open_ui(prefect_server: str, worker: Any) -> Iterator[Open]:
    """Open the browser when the stage is set: while it is open its event loop runs here, and no flow can."""
    if CHROMIUM is None:
        pytest.skip("the stories in a real browser: there is no chromium")
    with ExitStack() as stack:

        def open_it() -> Screen:
            worker.go_on()
            return stack.enter_context(browsing(prefect_server.removesuffix("/api")))

        yield open_it


@pytest.mark.sandbox(projects=1, invoices=30)
def test_each_view_lists_its_items_and_one_mended_in_procore_is_offered_for_a_new_acceptance(stage: Any, open_ui: Open):
    stage.accept_by_policy()
    stage.sandbox.fail("spectrum", route="POST /vendor/invoice", kind="reset_before", times=1)
    stage.set("export", chunk=4)
    stage.play("sync-invoices")
    stage.set("export", lease_seconds=0.1)  # an outcome that is unknown for three leases is shown
    exported = stage.items("EXPORTED")[0]
    which = {"vendor_code": exported.vendor_erp, "invoice_number": exported.number_erp}
    stage.sandbox.spectrum("invoices/edit", {**which, "fields": {"Invoice_Amount": "77.00"}})
    stage.play("sync-payments", asked_by=APPROVER)
    stage.set("export", lease_seconds=300)
    stage.set("policy", auto_accept_projects=[])
    failed = next(item for item in stage.items("FAILED") if item.cause == "already-in-erp")
    before = in_spectrum(stage)
    [item] = [run for run in stage.runs("Failed to Export") if run.parameters["invoice"] == failed.invoice_id]
    screen = open_ui()
    for view in ("Held", "Uncertain", "Drifted", "Failed to Export"):
        screen.open_runs(view)
        names = [run.name for run in stage.runs(view)]
        assert names
        screen.expect_runs(names)
    screen.open_run(item.name)

    invoice = f"requisitions/{failed.invoice_id}"
    assert stage.sandbox.procore(invoice)["origin_id"] is None, "a project manager can edit it"
    stage.sandbox.procore(f"{invoice}/edit", {"invoice_number": f"{failed.number}-R"})
    screen.retry()
    screen.expect_state("Sent")

    [ready] = [each for each in stage.items("READY") if each.invoice_id == failed.invoice_id]
    assert (ready.number, ready.revision) == (f"{failed.number}-R", failed.revision + 1)
    assert stage.sandbox.procore(invoice)["origin_id"], "it is locked while it waits for acceptance"
    assert in_spectrum(stage) == before, "nobody's retry exports figures that nobody accepted"
    review = stage.waiting_review()
    screen.open_runs(view="Ready to Export")
    screen.open_run(review.name)
    assert ready.number in screen.open_form().inner_text()


@SOUND
def test_a_review_form_with_the_right_code_rejects_one_with_a_reason_and_exports_the_rest(stage: Any, open_ui: Open):
    stage.set("approval", proof="totp")
    phone = enrol()
    stage.play("sync-invoices")
    review, ready = stage.waiting_review(), stage.items("READY")
    bad, good = ready[0], ready[1:]
    screen = open_ui()
    screen.open_runs(view="Ready to Export")
    screen.open_run(review.name)
    form = screen.open_form()
    assert set(form.locator("tbody td:first-child").all_inner_texts()) == {item.number for item in ready}

    words = {"Decided_by": APPROVER, "Accept": "all", "Reject": f"{bad.number}: the lien waiver is missing"}
    screen.fill(form, **words, Code=phone.wrong_code())
    screen.submit(form)
    asked = stage.wait_after(review)
    assert asked.state_name == "Suspended"
    assert not stage.items("ACCEPTED", "REJECTED", "EXPORTED")
    screen.page.reload()
    form = screen.open_form()
    assert "the code is wrong" in form.inner_text()

    screen.fill(form, **words, Code=phone.code())
    screen.submit(form)
    screen.expect_state("Decided")

    [rejected] = stage.items("REJECTED")
    assert rejected.invoice_id == bad.invoice_id
    assert not locked(stage, bad.invoice_id), "it can be edited again"
    numbers = {number for _, number in in_spectrum(stage)}
    assert {item.number for item in good} <= numbers
    assert bad.number not in numbers


@SOUND
def test_the_send_form_sends_what_may_be_sent_and_refuses_each_other_one_with_its_reason(stage: Any, open_ui: Open):
    stage.set("policy", auto_send_statuses=[])
    stage.play("nightly-sync")
    project = stage.sandbox.procore("contractor")["projects"][0]["id"]
    good, bad, draft, *_ = sorted(stage.sandbox.procore("requisitions"), key=lambda row: row["id"])
    stage.sandbox.procore(f"requisitions/{draft['id']}/approve", {"status": "draft"})
    numbers = [good["invoice_number"], bad["invoice_number"], str(draft["id"])]
    screen = open_ui()

    run_by_form(stage, screen, "send-invoices", project=str(project), sent_by=APPROVER, invoices=numbers)
    screen.expect_state("Finished with Failures")
    assert f"{APPROVER} may not send" in screen.open_artifact().inner_text()
    assert not locked(stage, good["id"])

    run_by_form(stage, screen, "send-invoices", project=str(project), sent_by=SENDER, invoices=numbers)
    screen.expect_state("Finished with Failures")
    report = screen.open_artifact().inner_text()
    assert "its status is draft; only Approved, Approved as Noted and Pending" in report
    assert [locked(stage, each["id"]) for each in (good, bad, draft)] == [True, True, False]
    review = stage.waiting_review()
    screen.open_today()
    with screen.page.expect_popup() as opened:  # a link of an artifact opens a window of its own
        screen.page.get_by_role("link", name="waiting for an approver").click()
    opened.value.get_by_text(review.name).first.wait_for()
    opened.value.close()

    why = "the lien waiver is missing"
    rejection = {"project": str(project), "rejected_by": APPROVER, "reason": why, "invoices": numbers[1:2]}
    run_by_form(stage, screen, "reject-invoices", **rejection)
    rejected = screen.page.url
    run_by_form(stage, screen, "retrieve-invoices", project=str(project), retrieved_by=SENDER, invoices=numbers[:1])
    screen.expect_state("Retrieved")
    screen.page.goto(rejected)
    screen.expect_state("Rejected")
    assert [locked(stage, each["id"]) for each in (good, bad)] == [False, False]


@SOUND
def test_a_change_made_in_procore_is_shown_by_a_form_whose_answer_counts_only_for_what_was_shown(
    stage: Any, open_ui: Open
):
    stage.play("nightly-sync")
    item = stage.items("READY")[0]
    rename(stage, item, "CHANGED-1")
    asked = stage.run("refresh-invoice", company=item.company_id, invoice=item.invoice_id)
    assert (asked.state_name, asked.name.startswith(f"Refresh · {item.number} · ")) == ("Suspended", True)
    screen = open_ui()
    screen.page.goto(f"{stage.ui_url}/runs/flow-run/{asked.id}")
    form = screen.open_form()
    assert ["invoice number", item.number, "CHANGED-1"] in screen.read_table(form)

    rename(stage, item, "CHANGED-2")
    screen.fill(form, Decided_by=APPROVER, Decision="apply")
    screen.submit(form)
    assert stage.wait_after(asked).state_name == "Suspended"
    assert stage.items("READY")[0].number == item.number

    screen.page.reload()
    form = screen.open_form()
    assert ["invoice number", item.number, "CHANGED-2"] in screen.read_table(form)
    screen.fill(form, Decided_by=APPROVER, Decision="apply")
    screen.submit(form)
    screen.expect_state("Refreshed")
    [taken] = [each for each in stage.items("READY") if each.invoice_id == item.invoice_id]
    assert (taken.number, taken.revision) == ("CHANGED-2", item.revision + 1)
    assert stage.retry(asked.id).state_name == "Refreshed"  # nobody is asked twice


@SOUND
def test_an_item_is_tried_again_by_its_button_and_all_of_its_cause_by_one_form_that_first_only_lists_them(
    stage: Any, open_ui: Open
):
    (first, *others), vendors = fail_for_inactive_vendors(stage)
    [item] = [run for run in stage.runs("Failed to Export") if run.parameters["invoice"] == first.invoice_id]
    screen = open_ui()
    screen.open_runs(view="Failed to Export")
    screen.expect_runs([run.name for run in stage.runs("Failed to Export")])
    screen.open_run(item.name)
    screen.expect_words(f"What to do: Activate vendor {stage.vendor_of(first)} in Spectrum")
    story = screen.open_artifact().inner_text()
    assert "Stopped by vendor-inactive" in story
    assert "What happened" in story

    set_vendors(stage, vendors, "A")
    before = in_spectrum(stage)
    screen.page.goto(f"{stage.ui_url}/runs/flow-run/{item.id}")
    screen.retry()
    screen.expect_state("Exported")
    ended = stage.client.read_flow_run(item.id)
    assert (ended.state.name, ended.name) == ("Exported", item.name)
    assert "batch" in ended.state.message
    assert {number for _, number in in_spectrum(stage) - before} == {first.number}

    run_by_form(stage, screen, "retry-exports", cause="vendor-inactive")
    screen.expect_state("Previewed")
    screen.open_tab("Artifacts")
    screen.expect_words(f"Would be tried again: {len(others)} ")
    assert {number for _, number in in_spectrum(stage) - before} == {first.number}

    run_by_form(stage, screen, "retry-exports", cause="vendor-inactive", dry_run=False)
    screen.expect_state("Completed")
    assert {number for _, number in in_spectrum(stage) - before} == {each.number for each in [first, *others]}
    screen.open_runs(view="Exported")
    screen.expect_runs([run.name for run in stage.runs("Exported")])
    assert len(stage.runs("Exported")) == len([first, *others])


def fail_for_inactive_vendors(stage: Any) -> tuple[list[Item], set[str]]:
    """Accept everything, whose vendors accounting then makes inactive; return the invoices and the vendors' codes."""
    stage.play("sync-invoices")
    ready = stage.items("READY")
    vendors = {stage.vendor_of(item) for item in ready}
    accept(ready)
    set_vendors(stage, vendors, "N")
    stage.play("sync-invoices")
    return stage.items("FAILED"), vendors


def set_vendors(stage: Any, codes: set[str], status: str) -> None:
    stage.sandbox.spectrum("vendors", [{"code": code, "status": status} for code in codes])


def accept(items: list[Item]) -> None:
    """Accept invoices of one project without the form."""
    with open_ledger(an_office()) as ledger:
        offer_review(ledger, "by hand", items[0].project_id, an_office())
        numbers = [item.number for item in items]
        assert not decide(ledger, "by hand", Signature(APPROVER), numbers, [], an_office()).problems


def rename(stage: Any, item: Item, number: str) -> None:
    """A project manager gives the invoice another number."""
    stage.sandbox.procore(f"requisitions/{item.invoice_id}/edit", {"invoice_number": number})


def run_by_form(stage: Any, screen: Screen, flow: str, **answers: Any) -> None:
    """Start a run by the form of its deployment, and open its page."""
    before = {run.id for run in stage.runs(flow=flow)}
    screen.run_form(stage.client.read_deployment_by_name(f"{flow}/{flow}").id, **answers)
    [started] = {run.id for run in stage.runs(flow=flow)} - before
    screen.page.goto(f"{stage.ui_url}/runs/flow-run/{started}")


def locked(stage: Any, invoice_id: int) -> bool:
    return stage.sandbox.procore(f"requisitions/{invoice_id}")["origin_id"] is not None


def in_spectrum(stage: Any) -> set[tuple[str, str]]:
    """Return vendor and number of every invoice in Spectrum's database."""
    rows = stage.sandbox.spectrum("invoices")
    return {(row["Vendor_Code"].strip(), row["Invoice_Number"].strip()) for row in rows}
