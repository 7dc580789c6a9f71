"""Accepted invoices reach Spectrum, each exactly once, whatever gets lost on the way. Counted in Spectrum's tables."""

import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from builders import an_office
from desk import AFTER_A_NIGHT, AFTER_AN_EXPORT, CLAIMER, Desk, Killed, StoppingClock, amount
from ledgers import ON_BOTH_DATABASES, unguarded
from sqlalchemy import text

from tieout import opening, settings
from tieout.connectors.base import invoice_key
from tieout.errors import SettingsError, TransientError
from tieout.export import chunk, outcome
from tieout.judgement import batch
from tieout.ledger.intents import live_intents
from tieout.views.inquiry import timeline

ENTER = "POST /vendor/invoice"
SATURDAY_NIGHT = datetime(2026, 3, 8, 4, 59, tzinfo=UTC)  # 23:59 in New York, where the week is about to end


def accepted_at(desk: Desk) -> list[int]:
    """Play the first night and the approver's day."""
    desk.night()
    accepted = desk.accept()
    desk.deliver()
    return accepted


def kinds(desk: Desk, invoice_id: int) -> list[str]:
    return [each.kind for each in timeline(desk.ledger, desk.item(invoice_id))]


def posts(desk: Desk) -> int:
    return desk.requests("spectrum").get(ENTER, 0)


def hand_key(desk: Desk, invoice_id: int, **changes: Any) -> None:
    """A clerk types an invoice into Spectrum that has the number of ours."""
    payload = desk.payload(invoice_id)
    desk.enter({**payload, "Remarks": "typed by hand", **changes})


@pytest.mark.sandbox(projects=2, after="night")
def test_exactly_what_was_accepted_is_entered_to_the_cent(desk: Desk):
    desk.night()
    first, second = sorted({item.project_id for item in desk.items()})
    left = desk.offer(first)
    assert left
    desk.decide(left, accept=[left.rows[0].number], reject=[(left.rows[1].number, "wrong period")])
    desk.night()
    shown = desk.requisitions()
    contracts = {each.number: each for each in desk.contractor.books.subcontracts}
    phases = {(each.job, each.phase_code, each.cost_type) for each in desk.contractor.books.phases}

    assert {item.state for item in desk.items() if item.project_id == second} == {"READY"}
    assert set(desk.exported()) == {left.rows[0].invoice_id}
    for invoice_id, row in desk.exported().items():
        items = desk.requisition(invoice_id)["items"]
        released = sum(
            Decimal(line["work_completed_retainage_released_this_period"])
            + Decimal(line["materials_stored_retainage_released_this_period"])
            for line in items
        )
        contract = contracts[row["Contract_Number"]]
        lines = row["lines"]
        assert amount(row, "Invoice_Amount") == Decimal(shown[invoice_id]["gross"])
        assert sum(amount(x, "Debit_Amount") - amount(x, "Credit_Amount") for x in lines) == row_total(row)
        due = Decimal(shown[invoice_id]["current_payment_due"])
        assert amount(row, "Invoice_Amount") - amount(row, "Retention_Amount") + released == due
        assert row["state"] == "unposted"
        assert row["Batch_Code"] == "20260307"
        assert row["Remarks"] == invoice_key(desk.contractor.company_id, invoice_id)
        assert row["Invoice_Number"] == shown[invoice_id]["invoice_number"]
        assert (row["Vendor_Code"], contract.job) == (contract.vendor_code, lines[0]["Job_Number"])
        assert {(x["Job_Number"], x["Phase_Code"], x["Cost_Type"]) for x in lines} <= phases
        assert {x["Remarks"][:29] for x in lines} == {"Invoice Imported From Procore"}


def row_total(row: dict[str, Any]) -> Decimal:
    return amount(row, "Invoice_Amount")


@AFTER_AN_EXPORT
def test_a_second_night_writes_nothing(desk: Desk):
    accepted = desk.export_everything()
    desk.forget_requests()
    desk.clock.advance(days=1)
    desk.night()

    assert set(desk.exported()) == set(accepted)
    assert desk.requests("spectrum") == {}
    asked = desk.requests("procore")
    assert {route.split()[0] for route in asked} == {"GET", "POST"}
    assert [route for route in asked if route.startswith("POST")] == ["POST /oauth/token"]  # a new token, nothing else
    assert sum(asked.values()) <= 6


@pytest.mark.sandbox(projects=4, invoices=60, troubles=True, lines=None)
def test_a_second_night_costs_few_requests_though_many_invoices_wait(desk: Desk):
    desk.night()
    desk.forget_requests()
    desk.night()

    assert {"HELD", "READY", "NOT_EXPORTABLE"} == set(desk.states().values())
    assert sum(desk.requests("procore").values()) <= 6 * 4


@AFTER_A_NIGHT
@pytest.mark.parametrize("kind", ["reset_after", "5xx_after", "truncated", "cut_off", "slow_after"])
def test_a_lost_answer_is_found_not_posted_again(desk: Desk, kind: str):
    accepted = accepted_at(desk)
    if kind == "slow_after":
        desk.set("spectrum", timeout=1.0)
    desk.fault("spectrum", ENTER, kind, seconds=3)
    desk.export()
    desk.night()

    assert set(desk.states().values()) == {"EXPORTED"}
    assert set(desk.exported()) == set(accepted)
    assert posts(desk) == 1
    assert kinds(desk, accepted[0])[-1] == "found"
    assert desk.item(accepted[0]).document_id_erp == desk.exported()[accepted[0]]["Document_ID"]


@AFTER_A_NIGHT
@pytest.mark.parametrize("kind", ["reset_before", "5xx_before", "html_503"])
def test_what_may_have_been_sent_is_sent_again_only_after_two_looks_with_time_between(desk: Desk, kind: str):
    accepted = accepted_at(desk)
    desk.clock.now = SATURDAY_NIGHT
    desk.fault("spectrum", ENTER, kind)
    desk.export()
    assert set(desk.states().values()) == {"UNCERTAIN"}

    desk.settle()
    desk.clock.advance(seconds=119)
    desk.settle()
    assert set(desk.states().values()) == {"UNCERTAIN"}
    assert posts(desk) == 1

    desk.clock.advance(seconds=2)  # Sunday by now
    desk.night()
    desk.night()

    assert set(desk.exported()) == set(accepted)
    assert posts(desk) == 2
    # While the outcome was unknown, the batch stayed the one that was frozen before the first attempt (AM-1b).
    assert {row["Batch_Code"] for row in desk.exported().values()} == {"20260307"}
    assert "absent twice" in kinds(desk, accepted[0])


@AFTER_A_NIGHT
def test_a_write_that_arrives_between_two_looks_is_found(desk: Desk):
    accepted = accepted_at(desk)
    desk.fault("spectrum", ENTER, "reset_before")
    desk.export()
    with desk.ledger.reading() as connection:
        for intent in live_intents(connection, desk.items()).values():
            desk.enter(desk.erp.preview(intent.voucher))  # a proxy had kept the request
    desk.clock.advance(seconds=121)
    desk.night()

    assert set(desk.states().values()) == {"EXPORTED"}
    assert set(desk.exported()) == set(accepted)


@AFTER_A_NIGHT
def test_being_asked_to_wait_is_no_failure(desk: Desk):
    accepted = accepted_at(desk)
    desk.fault("spectrum", ENTER, "429", times=2, retry_after=0)
    desk.export()

    assert set(desk.exported()) == set(accepted)
    assert posts(desk) == 3


@AFTER_A_NIGHT
def test_what_surely_was_not_sent_waits_then_fails_without_an_owner_and_the_next_night_sends_it(desk: Desk):
    accepted = accepted_at(desk)
    desk.fault("spectrum", ENTER, "429", times=4, retry_after=3600)
    for attempt in range(1, 5):
        with pytest.raises(TransientError):
            desk.export()
        assert {item.attempts for item in desk.items()} == {attempt}
    failed = desk.item(accepted[0])
    assert (failed.state, failed.cause, failed.reasons[0].owner) == ("FAILED", "transient", "nobody")
    assert "could not be reached in 4 attempts" in failed.reasons[0].message
    desk.night()

    assert set(desk.exported()) == set(accepted)
    assert set(desk.states().values()) == {"EXPORTED"}


@AFTER_A_NIGHT
def test_a_first_attempt_that_surely_failed_does_not_fix_the_batch(desk: Desk):
    accepted_at(desk)
    desk.clock.now = SATURDAY_NIGHT
    desk.fault("spectrum", ENTER, "429", retry_after=3600)
    with pytest.raises(TransientError):
        desk.export()
    desk.clock.advance(minutes=2)
    desk.export()

    assert {row["Batch_Code"] for row in desk.exported().values()} == {"20260314"}


@AFTER_A_NIGHT
def test_codes_that_change_after_an_attempt_that_surely_failed_are_taken_anew(desk: Desk):
    accepted = accepted_at(desk)
    desk.fault("spectrum", ENTER, "429", retry_after=3600)
    with pytest.raises(TransientError):
        desk.export()
    used = {each.gl_account for each in desk.contractor.books.cost_types}
    other = next(account for account, _, kind in desk.contractor.books.gl_accounts if kind == "direct")
    codes = [{"code": each.code, "gl_account": other} for each in desk.contractor.books.cost_types]
    desk.play("spectrum", "cost_types", codes)
    desk.night()

    assert len(used) > 1
    assert {line["GL_Account"] for row in desk.exported().values() for line in row["lines"]} == {other}
    assert set(desk.exported()) == set(accepted)


@AFTER_A_NIGHT
def test_an_erp_that_is_down_keeps_nothing_in_its_grip(desk: Desk):
    accepted = accepted_at(desk)
    url = desk.urls["spectrum"]
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        desk.set("spectrum", url=f"http://127.0.0.1:{closed.getsockname()[1]}")
        with pytest.raises(TransientError):
            desk.export()
    assert set(desk.states().values()) == {"ACCEPTED"}
    desk.set("spectrum", url=url)
    desk.night()

    assert set(desk.exported()) == set(accepted)


@AFTER_A_NIGHT
def test_refused_credentials_stop_the_step_and_lose_nothing(desk: Desk):
    accepted = accepted_at(desk)
    desk.play("spectrum", "authorization", {"enabled": False})
    with pytest.raises(SettingsError):
        desk.export()
    assert set(desk.states().values()) == {"ACCEPTED"}
    desk.play("spectrum", "authorization", {"enabled": True})
    desk.export()

    assert set(desk.exported()) == set(accepted)


@AFTER_A_NIGHT
def test_one_that_is_refused_does_not_stop_the_others(desk: Desk):
    accepted = accepted_at(desk)
    row = desk.requisitions()[accepted[0]]
    code = vendor_code(desk, accepted[0])
    desk.play("spectrum", "vendors", {"code": code, "status": "N"})  # since the master data was read
    desk.export()
    of_that_vendor = {i for i, each in desk.requisitions().items() if each["vendor_id"] == row["vendor_id"]}
    refused = desk.item(accepted[0])

    assert set(desk.exported()) == set(accepted) - of_that_vendor
    assert {desk.states()[each] for each in of_that_vendor} == {"FAILED"}
    assert refused.cause == "erp-refused"
    assert refused.reasons[0].message.startswith("[Spectrum Error] ")
    assert "Vendor_Code" in refused.reasons[0].message


@AFTER_A_NIGHT
def test_one_whose_stored_text_was_spoilt_fails_alone_and_the_others_arrive(desk: Desk):
    accepted = accepted_at(desk)
    spoilt = desk.item(accepted[-1])
    with unguarded(settings.read().ledger_url) as connection:  # somebody at the database, not we
        connection.execute(text("UPDATE snapshot SET body = '{}' WHERE snapshot_id = :id"), {"id": spoilt.snapshot_id})
    foreseen = desk.foresee([spoilt.invoice_id])
    desk.export()
    failed = desk.item(spoilt.invoice_id)

    assert set(desk.exported()) == set(accepted) - {spoilt.invoice_id}
    assert (failed.state, failed.cause) == ("FAILED", "unreadable")
    assert foreseen[0].would == f"nothing is sent: {failed.reasons[0].message}"


def vendor_code(desk: Desk, invoice_id: int) -> str:
    vendor_id = desk.requisition(invoice_id)["vendor_id"]
    item = desk.item(invoice_id)
    code = desk.basis_of(item.project_id).mapping(item.project_id, desk.clock().date()).vendor(vendor_id)
    assert code
    return code


@AFTER_A_NIGHT
def test_a_failure_whose_cause_has_cleared_goes_through_by_itself(desk: Desk):
    accepted = accepted_at(desk)
    code = vendor_code(desk, accepted[0])
    desk.play("spectrum", "vendors", {"code": code, "status": "I"})
    desk.night()
    failed = desk.item(accepted[0])
    assert (failed.state, failed.cause) == ("FAILED", "vendor-inactive")
    desk.play("spectrum", "vendors", {"code": code, "status": "A"})
    desk.night()

    assert set(desk.exported()) == set(accepted)
    assert desk.item(accepted[0]).revision == 1


@AFTER_AN_EXPORT
@ON_BOTH_DATABASES
def test_a_ledger_that_was_lost_does_not_make_doubles(desk: Desk):
    accepted = desk.export_everything()
    before = posts(desk)
    desk.set("ledger", url=desk.ledgers.new_ledger())
    desk.clock.advance(days=1)
    assert set(desk.export_everything()) == set(accepted)

    assert posts(desk) == before
    assert set(desk.exported()) == set(accepted)
    assert set(desk.states().values()) == {"EXPORTED"}


@AFTER_A_NIGHT
@ON_BOTH_DATABASES
def test_a_ledger_restored_from_an_older_copy_does_not_make_doubles(desk: Desk):
    accepted = accepted_at(desk)
    older = desk.back_up()
    desk.night()
    before = posts(desk)
    desk.set("ledger", url=older)
    desk.clock.advance(days=1)
    desk.night()

    assert (before, posts(desk)) == (1, 1)
    assert set(desk.exported()) == set(accepted)
    assert set(desk.states().values()) == {"EXPORTED"}
    assert desk.audit() == []


@AFTER_A_NIGHT
def test_a_number_that_accounting_typed_in_fails_with_what_to_do(desk: Desk):
    accepted = accepted_at(desk)
    hand_key(desk, accepted[0], Retention_Amount="0.00")
    desk.export()
    failed = desk.item(accepted[0])

    assert set(desk.exported()) == set(accepted) - {accepted[0]}
    assert (failed.state, failed.cause) == ("FAILED", "already-in-erp")
    assert "a different number in Procore" in failed.reasons[0].remedy
    assert f"already has invoice {failed.number}" in failed.reasons[0].message


@AFTER_A_NIGHT
def test_a_record_whose_key_a_clerk_wiped_out_is_known_by_its_figures(desk: Desk):
    accepted = accepted_at(desk)
    hand_key(desk, accepted[0])  # equal in every figure
    desk.export()

    assert set(desk.states().values()) == {"EXPORTED"}
    numbers = [(row["Vendor_Code"], row["Invoice_Number"]) for row in desk.erp_invoices()]
    assert len(numbers) == len(set(numbers))
    assert set(desk.exported()) == set(accepted) - {accepted[0]}


@AFTER_A_NIGHT
def test_something_else_under_our_key_waits_for_a_person(desk: Desk):
    accepted = accepted_at(desk)
    hand_key(desk, accepted[0], Remarks=invoice_key(desk.contractor.company_id, accepted[0]), Retention_Amount="0.00")
    desk.export()
    desk.clock.advance(days=1)
    desk.night()
    desk.night()
    uncertain = desk.item(accepted[0])

    assert uncertain.state == "UNCERTAIN"
    assert posts(desk) == 2  # the clerk's and the one for the others
    assert kinds(desk, accepted[0])[-1] == "answer lost"
    assert set(desk.exported()) == set(accepted)
    row = desk.exported()[accepted[0]]
    body = {"vendor_code": row["Vendor_Code"], "invoice_number": row["Invoice_Number"]}
    desk.play("spectrum", "invoices/edit", {**body, "fields": {"Retention_Amount": str(uncertain.held)}})
    desk.night()
    assert desk.item(accepted[0]).state == "EXPORTED"


@AFTER_A_NIGHT
def test_two_that_drain_at_the_same_time_send_each_once(desk: Desk):
    accepted = accepted_at(desk)
    desk.set("export", chunk=1)
    basis = desk.basis

    def drain(_: int) -> int:
        with opening.open_ledger(an_office()) as ledger, opening.open_erp(an_office()) as erp:
            done = 0
            while chunk.export_chunk(ledger, erp, basis, desk.office).invoice_ids:
                done += 1
            return done

    with ThreadPoolExecutor(3) as pool:
        done = sum(pool.map(drain, range(3)))

    assert done == len(accepted) == posts(desk)
    assert set(desk.exported()) == set(accepted)
    assert desk.audit() == []


@ON_BOTH_DATABASES
def test_who_exports_and_who_fetches_never_wait_for_each_other_in_turn(desk: Desk):
    accepted, basis = accepted_at(desk), desk.basis

    def export_them() -> chunk.Exported:
        with opening.open_ledger(an_office()) as ledger, opening.open_erp(an_office()) as erp:
            return chunk.export_chunk(ledger, erp, basis, desk.office)

    exported = desk.beside_a_fetch(accepted, export_them)

    assert set(exported.invoice_ids) == set(accepted) == set(desk.exported())


@AFTER_A_NIGHT
@pytest.mark.parametrize(("kind", "is_written"), [("slow_after", True), ("reset_before", False)])
def test_a_claim_of_the_dead_is_taken_over_after_lease_and_deadline(desk: Desk, kind: str, is_written: bool):
    accepted = accepted_at(desk)
    # An unreadable answer keeps the claimer waiting; it is killed while it waits.
    desk.fault("spectrum", ENTER, "slow_after" if is_written else "latency", seconds=60)
    claimer = subprocess.Popen([sys.executable, "-c", CLAIMER, desk.clock().isoformat()])
    wait_until(lambda: posts(desk) == 1)
    claimer.send_signal(signal.SIGKILL)
    claimer.wait()
    lease, deadline = timedelta(seconds=300), desk.erp.capabilities.request_timeout
    assert set(desk.states().values()) == {"EXPORTING"}

    desk.clock.now += lease + deadline - timedelta(seconds=1)
    assert outcome.release_expired(desk.ledger, desk.erp, desk.office) == 0
    desk.clock.advance(seconds=2)
    assert outcome.release_expired(desk.ledger, desk.erp, desk.office) == len(accepted)
    assert set(desk.states().values()) == {"UNCERTAIN"}
    desk.settle()
    assert set(desk.states().values()) == {"EXPORTED" if is_written else "UNCERTAIN"}
    desk.clock.advance(seconds=121)
    desk.night()

    assert set(desk.exported()) == set(accepted)
    assert posts(desk) == (1 if is_written else 2)


def wait_until(is_so: Any, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@AFTER_A_NIGHT
def test_a_claim_that_never_sent_anything_just_waits_again(desk: Desk):
    accepted = accepted_at(desk)

    def die() -> None:
        raise Killed

    dying = StoppingClock(desk.clock, lambda: set(desk.states().values()) == {"EXPORTING"}, die)
    with pytest.raises(Killed):
        chunk.export_chunk(desk.ledger, desk.erp, desk.basis, an_office(dying))
    assert desk.export() == {}
    desk.clock.advance(seconds=600)
    desk.night()

    assert set(desk.exported()) == set(accepted)
    assert "answer lost" not in kinds(desk, accepted[0])


@AFTER_A_NIGHT
def test_nothing_is_sent_when_the_lease_might_end_meanwhile(desk: Desk):
    accepted_at(desk)
    desk.set("export", lease_seconds=100)
    chunk.export_chunk(desk.ledger, desk.erp, desk.basis, desk.office)

    assert set(desk.states().values()) == {"ACCEPTED"}
    assert posts(desk) == 0


@AFTER_A_NIGHT
def test_what_changed_in_procore_after_acceptance_is_not_exported_before_it_is_accepted_again(desk: Desk):
    accepted = accepted_at(desk)
    changed = newest(desk, accepted)
    before = Decimal(desk.requisitions()[changed]["gross"])
    desk.bill_more(changed, "250.00")
    desk.night()
    again = desk.item(changed)
    assert (again.state, again.revision) == ("READY", 2)
    assert set(desk.exported()) == set(accepted) - {changed}
    assert desk.accept() == [changed]
    desk.night()

    assert set(desk.exported()) == set(accepted)
    assert amount(desk.exported()[changed], "Invoice_Amount") == before + 250


def newest(desk: Desk, invoice_ids: list[int]) -> int:
    """Return the newest invoice of a commitment: others may not be changed without breaking the next."""
    rows = desk.requisitions()
    return max(invoice_ids, key=lambda each: (rows[each]["number"], each))


@AFTER_A_NIGHT
def test_only_what_the_terms_of_now_judged_is_claimed(desk: Desk):
    accepted_at(desk)
    desk.set("policy", over_billing="stop")  # nobody has judged by this yet
    assert desk.export() == {}
    desk.night()

    assert set(desk.states().values()) == {"EXPORTED"}


@AFTER_A_NIGHT
def test_a_single_retry_exports_that_invoice_alone(desk: Desk):
    accepted = accepted_at(desk)
    hand_key(desk, accepted[0], Retention_Amount="0.00")
    desk.export(only=[accepted[0]])
    assert desk.exported() == {}
    row = next(each for each in desk.erp_invoices() if each["Remarks"] == "typed by hand")
    body = {"vendor_code": row["Vendor_Code"], "invoice_number": row["Invoice_Number"]}
    desk.play("spectrum", "invoices/delete", body)
    assert batch.rejudge_one(desk.ledger, desk.basis, accepted[0], desk.office).state == "ACCEPTED"
    desk.export(only=[accepted[0]])

    assert set(desk.exported()) == {accepted[0]}
