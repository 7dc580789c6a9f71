"""An accountant settles what no machine may decide. Counted in Spectrum's tables."""

from decimal import Decimal
from typing import Any

import pytest
from desk import AFTER_A_NIGHT, APPROVER, SENDER, Desk, amount, of_ours

from data_contracts.forms import SettleAnswer
from tieout.connectors.base import invoice_key
from tieout.decisions import settle
from tieout.decisions.settle import Doubt
from tieout.export import drift
from tieout.judgement import batch
from tieout.ledger.book import LostRaceError
from tieout.people.rights import Signature
from tieout.views import settle_form
from tieout.views.inquiry import timeline

RUN = "run-1"


def look(desk: Desk, invoice_id: int) -> Doubt | None:
    return settle.examine(desk.ledger, desk.erp, desk.contractor.company_id, invoice_id, desk.office)


def in_doubt(desk: Desk, invoice_id: int) -> Doubt:
    """Look once our own request has surely arrived or will never do so."""
    desk.clock.advance(minutes=10)
    doubt = look(desk, invoice_id)
    assert doubt
    return doubt


def decide(desk: Desk, doubt: Doubt, decision: str, **answer: str) -> list[str]:
    told = SettleAnswer(**{"decided_by": APPROVER, "decision": decision, "reason": "compared with the paper", **answer})
    return settle.decide(desk.ledger, doubt, told, Signature(told.decided_by), RUN, desk.office)


def differing(desk: Desk, **changes: str) -> tuple[int, dict[str, Any]]:
    """Lose the answers, and have one of the invoices turn up with another retention; return it and its row."""
    [first, *_] = desk.lose_answers()
    return first, desk.arrive(first, **(changes or {"Retention_Amount": "0.00"}))


def words(desk: Desk, invoice_id: int) -> str:
    return settle.how_it_stands(desk.ledger, desk.erp, desk.item(invoice_id))


def retry(desk: Desk, invoice_id: int) -> None:
    """What Retry does."""
    desk.read()
    desk.settle()
    batch.rejudge_one(desk.ledger, desk.basis, invoice_id, desk.office)
    desk.export([invoice_id])


@AFTER_A_NIGHT
def test_the_form_shows_both_sides_with_what_differs_marked(desk: Desk):
    first, row = differing(desk)
    doubt = in_doubt(desk, first)
    item, text = desk.item(first), settle_form.description(doubt, ["a reason is needed"])

    lines = text.splitlines()
    assert lines[0] == "**Please answer again:** a reason is needed."
    assert "Accounts Payable > Data Entry > Vendor Invoices" in text
    assert f"| field | sent | {row['Document_ID']} |" in lines
    assert f"| retention | ${item.held:,.2f} | **≠** $0.00 |" in lines
    assert f"| gross | ${item.gross:,.2f} | ${item.gross:,.2f} |" in lines
    assert f"| batch | {item.batch_code} | {item.batch_code} |" in lines
    assert "| state |  | unposted |" in lines
    assert text.count("≠") == 1


@AFTER_A_NIGHT
def test_an_adopted_one_is_exported_as_it_stands_and_its_differences_are_nobody_s_question_again(desk: Desk):
    first, row = differing(desk)
    problems = decide(desk, in_doubt(desk, first), " Adopt ")
    item = desk.item(first)
    assert (problems, item.state, item.document_id_erp) == ([], "EXPORTED", row["Document_ID"])
    desk.night()
    desk.clock.advance(days=1)
    desk.night()

    assert (desk.states()[first], drift.open_drift(desk.item(first))) == ("EXPORTED", [])
    assert len(of_ours(desk, first)) == 1
    adopted = next(each for each in timeline(desk.ledger, item) if each.kind == "adopted")
    assert (adopted.actor, adopted.facts["reason"]) == (APPROVER, "compared with the paper")
    assert "retention" in adopted.facts["differences"][0]
    assert desk.requisition(first)["origin_id"] == invoice_key(desk.contractor.company_id, first)
    assert row["Document_ID"] in desk.requisition(first)["origin_data"]
    assert desk.audit() == []


@AFTER_A_NIGHT
def test_what_changes_after_the_adoption_is_told(desk: Desk):
    first, row = differing(desk)
    decide(desk, in_doubt(desk, first), "adopt")
    desk.act_on(row, "edit", fields={"Retention_Amount": "1.00"})
    desk.night()
    [told] = drift.open_drift(desk.item(first))

    assert "$1.00" in told.message


@AFTER_A_NIGHT
def test_an_adopted_one_is_followed_under_the_number_that_it_bears(desk: Desk):
    first, _ = differing(desk, Invoice_Number="RENAMED-1")
    decide(desk, in_doubt(desk, first), "adopt")
    desk.post([first])
    desk.cut_check([first])
    desk.pay()
    [payment] = desk.payments_issued()

    assert (payment["requisition_id"], payment["invoice_number"]) == (first, "RENAMED-1")
    assert desk.states()[first] == "PAID"


@AFTER_A_NIGHT
def test_an_adopted_one_is_paid_when_what_the_erp_owes_on_it_is_paid(desk: Desk):
    first, row = differing(desk)  # without retention the ERP owes more than we sent
    owed = amount(row, "Invoice_Amount")
    decide(desk, in_doubt(desk, first), "adopt")
    desk.post([first])
    desk.cut_check([first], amount=str(desk.item(first).net))
    desk.pay()
    desk.pay()
    assert desk.states()[first] == "PART_PAID"
    desk.cut_check([first], amount=str(owed - desk.item(first).net))
    desk.pay()

    assert desk.states()[first] == "PAID"
    assert sum(Decimal(each["amount"]) for each in desk.payments_issued()) == owed


@AFTER_A_NIGHT
def test_of_two_the_one_that_is_named_is_adopted_and_the_other_stays_an_alarm_until_it_is_deleted(desk: Desk):
    [first, *_] = desk.lose_answers()
    desk.arrive(first)
    twin = desk.arrive(first, Invoice_Number="TWIN-1")
    good = next(row for row in of_ours(desk, first) if row["Document_ID"] != twin["Document_ID"])
    doubt = in_doubt(desk, first)
    asked = decide(desk, doubt, "adopt"), decide(desk, doubt, "adopt", document="nonsense")
    assert [words.split(":")[0] for [words] in asked] == [
        "name the document to adopt",
        f"'nonsense' is not one of {good['Document_ID']}, {twin['Document_ID']}",
    ]
    assert decide(desk, doubt, "adopt", document=good["Document_ID"]) == []
    assert desk.item(first).document_id_erp == good["Document_ID"]
    desk.night()
    assert [each.rule for each in drift.open_drift(desk.item(first))] == [drift.TWO]
    desk.act_on(twin, "delete")
    desk.night()

    assert (desk.states()[first], drift.open_drift(desk.item(first))) == ("EXPORTED", [])
    assert [row["Document_ID"] for row in of_ours(desk, first)] == [good["Document_ID"]]


@AFTER_A_NIGHT
def test_a_disowned_one_fails_and_says_what_makes_room_for_it(desk: Desk):
    first, row = differing(desk)
    assert decide(desk, in_doubt(desk, first), "disown") == []
    item = desk.item(first)
    [told] = item.reasons

    assert (item.state, item.cause, told.rule) == ("FAILED", "disowned", "disowned")
    assert f"{APPROVER} disowned document {row['Document_ID']} " in told.message
    assert "compared with the paper" in told.message
    assert f"delete document {row['Document_ID']}" in told.remedy
    assert f"clear our key {row['Remarks'].strip()} from the remarks" in told.remedy
    assert "another number" in told.remedy
    desk.deliver()
    assert desk.requisition(first)["origin_id"] is None  # the cause may have to be mended there
    assert desk.audit() == []


@AFTER_A_NIGHT
def test_a_disowned_one_that_is_tried_again_before_room_was_made_is_uncertain_again_and_sends_nothing(desk: Desk):
    first, row = differing(desk)
    decide(desk, in_doubt(desk, first), "disown")
    desk.forget_requests()
    retry(desk, first)

    assert (desk.item(first).state, desk.item(first).cause) == ("UNCERTAIN", "differs-in-erp")
    assert [each["Document_ID"] for each in of_ours(desk, first)] == [row["Document_ID"]]
    assert "POST /vendor/invoice" not in desk.requests("spectrum")


@AFTER_A_NIGHT
def test_a_disowned_one_for_which_room_was_made_is_exported_once(desk: Desk):
    first, row = differing(desk)
    decide(desk, in_doubt(desk, first), "disown")
    desk.act_on(row, "delete")
    retry(desk, first)
    item = desk.item(first)

    assert (item.state, item.cause) == ("EXPORTED", "")
    assert [amount(each, "Retention_Amount") for each in of_ours(desk, first)] == [item.held]


@AFTER_A_NIGHT
def test_a_disowned_one_that_accounting_had_posted_is_sent_under_another_number_after_a_new_acceptance(desk: Desk):
    first, row = differing(desk, Remarks="typed by hand", Retention_Amount="0.00")
    desk.play("spectrum", "post", {"invoices": [[row["Vendor_Code"], row["Invoice_Number"]]]})
    decide(desk, in_doubt(desk, first), "disown")
    [told] = desk.item(first).reasons
    assert "have the project manager give this invoice another number" in told.remedy
    assert "delete" not in told.remedy
    desk.edit(first, invoice_number="AGAIN-1")
    desk.night()
    desk.accept()
    desk.night()

    assert desk.states()[first] == "EXPORTED"
    assert [each["Invoice_Number"].strip() for each in of_ours(desk, first)] == ["AGAIN-1"]


@AFTER_A_NIGHT
def test_an_answer_that_cannot_be_taken_records_nothing_and_says_all_that_is_wrong_with_it(desk: Desk):
    first, _ = differing(desk)
    doubt = in_doubt(desk, first)
    before = timeline(desk.ledger, doubt.item)
    wrong = decide(desk, doubt, "keep", decided_by=SENDER, reason="  ")

    assert wrong == [
        "Pat Lee is not an accounting approver: Standard or Admin on ERP Integrations and Can Push to Accounting "
        "are missing",
        "a reason is needed",
        "the decision is adopt or disown, not 'keep'",
    ]
    assert decide(desk, doubt, "disown", reason="") == ["a reason is needed"]
    assert decide(desk, doubt, "disown", decided_by="")[0].startswith("Nobody is not an accounting approver")
    assert timeline(desk.ledger, doubt.item) == before


@AFTER_A_NIGHT
def test_what_is_void_or_another_invoice_s_cannot_be_adopted(desk: Desk):
    first, second, third, *_ = desk.lose_answers()
    row = desk.arrive(first, Remarks=invoice_key(desk.contractor.company_id, second))
    taken = in_doubt(desk, first)
    [words] = decide(desk, taken, "adopt")
    assert words.startswith(f"document {row['Document_ID']} has the key of another invoice")

    row = desk.arrive(third, Retention_Amount="0.00")
    desk.play("spectrum", "post", {"invoices": [[row["Vendor_Code"], row["Invoice_Number"]]]})
    desk.act_on(row, "void")

    assert decide(desk, in_doubt(desk, third), "adopt") == [
        f"document {row['Document_ID']} is void; what is void cannot be this invoice"
    ]


@AFTER_A_NIGHT
def test_one_document_is_adopted_for_one_invoice_only(desk: Desk):
    first, second, *_ = desk.lose_answers()
    row = desk.arrive(first, Remarks="typed by hand", Retention_Amount="0.00")
    assert decide(desk, in_doubt(desk, first), "adopt") == []
    desk.act_on(row, "edit", fields={"Remarks": invoice_key(desk.contractor.company_id, second)})

    assert decide(desk, in_doubt(desk, second), "adopt") == [
        f"document {row['Document_ID']} is invoice {desk.item(first).number} already"
    ]


@AFTER_A_NIGHT
def test_what_is_equal_by_now_or_surely_not_there_settles_itself(desk: Desk):
    first, row = differing(desk)
    held = desk.item(first).held
    second = desk.items("UNCERTAIN")[1].invoice_id
    desk.act_on(row, "edit", fields={"Retention_Amount": str(held)})
    desk.clock.advance(minutes=10)

    assert look(desk, first) is None
    assert desk.states()[first] == "EXPORTED"
    assert words(desk, first) == f"It is in Spectrum, unposted, as document {row['Document_ID']}."
    assert look(desk, second) is None
    assert desk.states()[second] == "ACCEPTED"
    assert words(desk, second) == "It certainly is not in Spectrum; the next export sends it as it was accepted."


@AFTER_A_NIGHT
def test_what_is_not_there_yet_says_until_when_to_wait(desk: Desk):
    [first, *_] = desk.lose_answers()

    assert look(desk, first) is None
    assert desk.states()[first] == "UNCERTAIN"
    assert "nothing is there after 2026-03-04 17:02 UTC either, it sends it again by itself" in words(desk, first)


@AFTER_A_NIGHT
def test_nothing_is_decided_while_our_own_request_may_still_arrive(desk: Desk):
    first, _ = differing(desk)

    assert look(desk, first) is None
    assert desk.states()[first] == "UNCERTAIN"
    assert words(desk, first).startswith("Our own request may still arrive in Spectrum until 2026-03-04 17:")


@AFTER_A_NIGHT
def test_of_two_people_the_second_is_told_how_it_stands(desk: Desk):
    first, _ = differing(desk)
    doubt = in_doubt(desk, first)
    decide(desk, doubt, "adopt")
    length = len(timeline(desk.ledger, doubt.item))
    with pytest.raises(LostRaceError, match="it is EXPORTED now"):
        decide(desk, doubt, "disown")

    assert desk.states()[first] == "EXPORTED"
    assert len(timeline(desk.ledger, doubt.item)) == length
    assert look(desk, first) is None


@AFTER_A_NIGHT
def test_an_answer_to_what_was_shown_before_is_not_taken_for_what_is_shown_now(desk: Desk):
    first, row = differing(desk)
    doubt = in_doubt(desk, first)
    desk.act_on(row, "edit", fields={"Retention_Amount": "1.00"})
    now = look(desk, first)
    assert now
    with pytest.raises(LostRaceError, match="it is UNCERTAIN now"):
        decide(desk, doubt, "adopt")

    assert now.item.version != doubt.item.version
    assert decide(desk, now, "adopt") == []
    assert desk.states()[first] == "EXPORTED"


@AFTER_A_NIGHT
def test_an_answer_after_the_machine_settled_it_changes_nothing(desk: Desk):
    first, row = differing(desk)
    doubt = in_doubt(desk, first)
    desk.act_on(row, "edit", fields={"Retention_Amount": str(desk.item(first).held)})
    desk.night()
    with pytest.raises(LostRaceError, match="it is EXPORTED now"):
        decide(desk, doubt, "disown")

    assert desk.states()[first] == "EXPORTED"
    assert len(of_ours(desk, first)) == 1


@AFTER_A_NIGHT
def test_what_was_decided_is_known_to_the_run_in_which_it_was(desk: Desk):
    first, _ = differing(desk)
    assert settle.decision_of(desk.ledger, desk.item(first), RUN) is None
    decide(desk, in_doubt(desk, first), "disown")
    decided = settle.decision_of(desk.ledger, desk.item(first), RUN)

    assert decided
    assert (decided.kind, decided.actor) == ("disowned", APPROVER)
    assert settle.decision_of(desk.ledger, desk.item(first), "another run") is None


@AFTER_A_NIGHT
def test_what_is_found_before_the_first_send_is_decided_at_once(desk: Desk):
    desk.night()
    first = desk.accept()[0]
    payload = desk.payload(first)
    desk.enter({**payload, "Retention_Amount": "0.00"})
    desk.export()
    assert desk.item(first).cause == "differs-in-erp"
    doubt = look(desk, first)
    assert doubt
    decide(desk, doubt, "adopt")

    assert desk.states()[first] == "EXPORTED"
