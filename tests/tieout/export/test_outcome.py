"""What became of an invoice whose answer was lost is settled by looking, never by guessing."""

from concurrent.futures import ThreadPoolExecutor

from builders import an_office
from desk import AFTER_A_NIGHT, Desk

from data_contracts.money import in_words
from data_contracts.reference import Finding
from tieout import opening
from tieout.export import outcome
from tieout.judgement import batch
from tieout.views.inquiry import timeline


@AFTER_A_NIGHT
def test_the_same_look_twice_is_one_look(desk: Desk):
    [first, *_] = desk.lose_answers()
    length = len(timeline(desk.ledger, desk.item(first)))
    for _ in range(3):
        desk.settle()

    assert desk.states()[first] == "UNCERTAIN"
    assert len(timeline(desk.ledger, desk.item(first))) == length  # looking again is no event


@AFTER_A_NIGHT
def test_some_are_found_and_the_others_sent_again(desk: Desk):
    accepted = desk.lose_answers()
    desk.arrive(accepted[0])
    desk.settle()
    assert desk.states()[accepted[0]] == "EXPORTED"
    desk.clock.advance(seconds=121)
    desk.night()
    desk.night()

    assert set(desk.exported()) == set(accepted)
    assert set(desk.states().values()) == {"EXPORTED"}


@AFTER_A_NIGHT
def test_what_is_found_with_other_figures_waits_for_a_person_and_says_so_once(desk: Desk):
    accepted = desk.lose_answers()
    desk.arrive(accepted[0], Retention_Amount="0.00")
    for _ in range(3):
        desk.clock.advance(days=1)
        desk.night()
    looked = [
        each for each in timeline(desk.ledger, desk.item(accepted[0])) if each.facts.get("found", "").startswith("[")
    ]

    assert desk.states()[accepted[0]] == "UNCERTAIN"
    assert len(looked) == 1
    assert '"retention":"0.00"' in looked[0].facts["found"]
    assert set(desk.exported()) == set(accepted)


@AFTER_A_NIGHT
def test_a_change_in_procore_waits_until_the_fate_in_the_erp_is_known(desk: Desk):
    accepted = desk.lose_answers()
    rows = desk.requisitions()
    changed = max(accepted, key=lambda each: (rows[each]["number"], each))
    desk.arrive(changed)
    desk.bill_more(changed)
    desk.read()
    desk.judge()
    assert desk.states()[changed] == "UNCERTAIN"
    desk.settle()
    desk.night()

    assert (desk.states()[changed], desk.item(changed).revision) == ("EXPORTED", 1)


@AFTER_A_NIGHT
def test_what_changed_while_it_was_uncertain_and_is_not_there_needs_a_new_acceptance(desk: Desk):
    accepted = desk.lose_answers()
    rows = desk.requisitions()
    changed = max(accepted, key=lambda each: (rows[each]["number"], each))
    before = desk.item(changed).gross
    desk.bill_more(changed, "70.00")
    desk.settle()
    desk.clock.advance(seconds=121)
    desk.night()
    assert (desk.states()[changed], desk.item(changed).revision) == ("READY", 2)
    desk.accept()
    desk.night()

    assert set(desk.exported()) == set(accepted)
    assert float(desk.exported()[changed]["Invoice_Amount"]) == float(before + 70)


@AFTER_A_NIGHT
def test_two_that_settle_at_the_same_time_come_to_no_harm(desk: Desk):
    accepted = desk.lose_answers()
    for each in accepted[:3]:
        desk.arrive(each)

    def settle(_: int) -> None:
        with opening.open_ledger(an_office()) as ledger, opening.open_erp(an_office()) as erp:
            outcome.release_expired(ledger, erp, desk.office)
            outcome.settle_uncertain(ledger, erp, desk.office)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(settle, range(8)))

    assert {desk.states()[each] for each in accepted[:3]} == {"EXPORTED"}
    assert {desk.states()[each] for each in accepted[3:]} == {"UNCERTAIN"}
    assert desk.audit() == []


@AFTER_A_NIGHT
def test_what_was_exported_keeps_its_warnings_and_loses_its_failure(desk: Desk):
    accepted = desk.lose_answers()
    desk.arrive(accepted[0])
    desk.settle()
    item = desk.item(accepted[0])

    assert (item.cause, item.lease_until) == ("", None)
    assert {each.severity for each in item.reasons} <= {"warn"}
    assert item.batch_code == "20260307"


def reason(desk: Desk, invoice_id: int) -> Finding:
    """Why the invoice is uncertain, as its run tells."""
    item = desk.item(invoice_id)
    [told] = [each for each in item.reasons if each.severity != "warn"]
    assert (item.state, item.cause) == ("UNCERTAIN", told.rule)
    return told


@AFTER_A_NIGHT
def test_an_invoice_whose_answer_was_lost_says_so_and_that_nobody_may_enter_it_by_hand(desk: Desk):
    [first, *_] = desk.lose_answers()
    item, told = desk.item(first), reason(desk, first)

    assert told.rule == "answer-lost"
    assert told.message.startswith(f"Nobody knows yet whether Spectrum has invoice {item.number}: ")
    assert "gave no readable answer" in told.message
    assert "Do not enter it by hand" in told.remedy
    assert f"settle-uncertain with company {item.company_id} and invoice {first}" in told.remedy
    assert told.owner == "nobody"
    assert told.numbers["gross as sent"] == in_words(item.gross, "USD")


@AFTER_A_NIGHT
def test_what_is_found_otherwise_tells_both_sides_and_whom_to_ask(desk: Desk):
    [first, *_] = desk.lose_answers()
    row = desk.arrive(first, Retention_Amount="0.00")
    desk.settle()
    item, told = desk.item(first), reason(desk, first)
    document, held = row["Document_ID"], in_words(item.held, "USD")

    assert told.rule == "differs-in-erp"
    assert f"Spectrum has document {document} ({item.number} of {item.vendor_erp}, " in told.message
    assert f"retention $0.00 instead of {held}" in told.message
    assert (told.numbers["retention as sent"], told.numbers[f"retention of {document}"]) == (held, "$0.00")
    assert told.remedy.startswith(f"Run settle-uncertain with company {item.company_id} and invoice {first}")
    assert told.owner == "accounting"


@AFTER_A_NIGHT
def test_two_under_our_key_are_told_with_both_documents(desk: Desk):
    [first, *_] = desk.lose_answers()
    documents = [desk.arrive(first)["Document_ID"], desk.arrive(first, Invoice_Number="TWIN-1")["Document_ID"]]
    desk.settle()
    told = reason(desk, first)

    assert told.rule == "two-in-erp"
    assert told.message.startswith("Spectrum has 2 where one was sent: ")
    assert [each for each in documents if each in told.message] == documents


@AFTER_A_NIGHT
def test_what_was_found_and_is_deleted_is_looked_for_twice_before_it_is_sent_again(desk: Desk):
    [first, *_] = desk.lose_answers()
    row = desk.arrive(first, Retention_Amount="0.00")
    desk.clock.advance(seconds=121)
    desk.settle()
    assert reason(desk, first).rule == "differs-in-erp"
    desk.act_on(row, "delete")
    desk.settle()
    assert reason(desk, first).rule == "answer-lost"  # the look that had shown nothing before it does not count
    desk.clock.advance(seconds=121)
    desk.night()

    assert (desk.states()[first], desk.item(first).cause) == ("EXPORTED", "")
    assert first in desk.exported()


@AFTER_A_NIGHT
def test_what_is_put_back_as_it_was_found_before_is_told_again(desk: Desk):
    [first, *_] = desk.lose_answers()
    row = desk.arrive(first, Retention_Amount="0.00")
    desk.settle()
    desk.act_on(row, "delete")
    desk.settle()
    desk.arrive(first, Retention_Amount="0.00")
    desk.settle()

    assert reason(desk, first).rule == "differs-in-erp"


@AFTER_A_NIGHT
def test_a_voided_one_of_another_number_is_nobody_s_and_one_is_sent(desk: Desk):
    desk.night()
    first = desk.accept()[0]
    payload = desk.payload(first)
    desk.enter({**payload, "Invoice_Number": "OLD-1"})
    old = desk.row(payload["Vendor_Code"], "OLD-1")
    desk.play("spectrum", "post", {"invoices": [[payload["Vendor_Code"], "OLD-1"]]})
    desk.act_on(old, "void")
    desk.export()
    living = [row for row in desk.erp_invoices() if row["Remarks"].strip() == payload["Remarks"]]

    assert desk.states()[first] == "EXPORTED"
    assert [row["Invoice_Number"].strip() for row in living if row["state"] != "void"] == [payload["Invoice_Number"]]


@AFTER_A_NIGHT
def test_what_failed_once_is_exported_with_the_warnings_that_it_was_accepted_with(desk: Desk):
    rows = desk.requisitions()
    newest = max(rows, key=lambda each: (rows[each]["number"], each))
    desk.bill_more(newest, "5000000.00")
    desk.night()
    warned = [each.rule for each in desk.item(newest).reasons]
    assert (desk.states()[newest], warned) == ("READY", ["over-billed"])
    desk.accept()
    payload = desk.payload(newest)
    vendor = payload["Vendor_Code"]
    desk.play("spectrum", "vendors", {"code": vendor, "status": "N"})
    desk.export([newest])
    failed = desk.item(newest)
    assert (failed.cause, [each.rule for each in failed.reasons]) == ("erp-refused", ["erp-refused", *warned])
    desk.play("spectrum", "vendors", {"code": vendor, "status": "A"})
    batch.rejudge_one(desk.ledger, desk.basis, newest, desk.office)
    accepted = desk.item(newest)
    desk.export([newest])

    assert (accepted.state, accepted.cause, [each.rule for each in accepted.reasons]) == ("ACCEPTED", "", warned)
    assert (desk.states()[newest], [each.rule for each in desk.item(newest).reasons]) == ("EXPORTED", warned)
